/** Results as a picture: one group of bars for each question, as shares of the direct way. */
import type { Question } from './questions/question';
import type { Row } from './rounds';

export interface Answered {
  readonly question: Question;
  readonly rows: readonly Row[];
}

const BAR = 14;
const GAP = 26;
const LEFT = 150;
const WIDTH = 480;
const LABEL = 60;
const COLOURS: Readonly<Record<string, string>> = {
  direct: '#9aa0a6',
  'l4-dsr': '#b7c4d6',
  baton: '#1a73e8',
};
const RELAYS = '#e8a33d';

/** An SVG document. Bars are medians, the thin lines the spread of all rounds; all of one group share a scale. */
export function plot(answered: readonly Answered[], caption: string): string {
  const parts: string[] = [];
  let y = 40;
  for (const { question, rows } of answered) {
    parts.push(text(10, y, question.title, 'bold'));
    y += 8;
    const most = Math.max(...rows.map(({ summary }) => summary[question.measure].most));
    for (const { competitor, summary } of rows) {
      const { median, least, most: highest } = summary[question.measure];
      const x = (value: number): number => LEFT + (value / most) * WIDTH;
      const middle = y + BAR / 2;
      const colour = COLOURS[competitor] ?? RELAYS;
      parts.push(
        text(LEFT - 8, middle + 4, competitor, 'normal', 'end'),
        `<rect x="${LEFT}" y="${y}" width="${round(x(median) - LEFT)}" height="${BAR - 2}" fill="${colour}"/>`,
        `<line x1="${round(x(least))}" x2="${round(x(highest))}" y1="${middle - 1}" y2="${middle - 1}" stroke="#333"/>`,
        text(LEFT + WIDTH + 8, middle + 4, label(question, median)),
      );
      y += BAR;
    }
    y += GAP;
  }
  const size = `width="${LEFT + WIDTH + LABEL + 60}" height="${y}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="sans-serif" font-size="11">`,
    '<rect width="100%" height="100%" fill="#fff"/>',
    text(10, 16, caption),
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

function label({ measure }: Question, value: number): string {
  return measure === 'bytesPerSecond' ? `${(value / 1e6).toFixed(0)} MB/s` : `${value.toFixed(0)}/s`;
}

function text(x: number, y: number, content: string, weight = 'normal', anchor = 'start'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x}" y="${y}" font-weight="${weight}" text-anchor="${anchor}">${escaped}</text>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
