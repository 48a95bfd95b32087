/** Results as a picture: a group of bars for each question. */
import type { Spread } from './spread';

/** Bars of one group share a scale, which begins at 0. */
export interface Bars {
  readonly title: string;
  readonly bars: readonly { readonly name: string; readonly value: Spread; readonly label: string }[];
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
  upstream: '#1a73e8',
};
const RELAYS = '#e8a33d';

/** An SVG document. Bars are medians, the thin lines the spread of all rounds. */
export function plot(groups: readonly Bars[], caption: string): string {
  const parts: string[] = [];
  let y = 40;
  for (const { title, bars } of groups) {
    parts.push(text(10, y, title, 'bold'));
    y += 8;
    const scale = Math.max(...bars.map(({ value }) => value.most));
    for (const { name, value, label } of bars) {
      const x = (figure: number): number => LEFT + (figure / scale) * WIDTH;
      const middle = y + BAR / 2;
      const colour = COLOURS[name] ?? RELAYS;
      parts.push(
        text(LEFT - 8, middle + 4, name, 'normal', 'end'),
        `<rect x="${LEFT}" y="${y}" width="${round(x(value.median) - LEFT)}" height="${BAR - 2}" fill="${colour}"/>`,
        `<line x1="${round(x(value.least))}" x2="${round(x(value.most))}" y1="${middle - 1}" y2="${middle - 1}" stroke="#333"/>`,
        text(LEFT + WIDTH + 8, middle + 4, label),
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

function text(x: number, y: number, content: string, weight = 'normal', anchor = 'start'): string {
  const escaped = content.replace(/&/g, '&amp;').replace(/</g, '&lt;');
  return `<text x="${x}" y="${y}" font-weight="${weight}" text-anchor="${anchor}">${escaped}</text>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
