/** Results as text. */
import type { Question } from './questions/question';
import type { Row, Spread } from './rounds';

/** The fastest of those that relay. */
export function bestProxy(question: Question, rows: readonly Row[]): Row | undefined {
  const speed = ({ summary }: Row): number => summary[question.measure].median;
  return rows.filter(({ proxy }) => proxy).sort((a, b) => speed(b) - speed(a))[0];
}

/** Markdown: a line for each competitor, with its ratios to the best proxy and to the direct way. */
export function tableOf(question: Question, rows: readonly Row[]): string {
  const best = bestProxy(question, rows);
  const direct = rows.find(({ competitor }) => competitor === 'direct');
  const unit = question.measure === 'bytesPerSecond' ? 'MB/s' : 'requests/s';
  const head = ['', unit, 'spread', '/ best proxy', '/ direct', 'p50', 'p99', 'front CPU', 'failures'];
  const lines = rows.map((row) => {
    const speed = row.summary[question.measure];
    return [
      row.competitor,
      speedOf(question, speed.median),
      `${speedOf(question, speed.least)}-${speedOf(question, speed.most)}`,
      ratio(speed, best?.summary[question.measure]),
      ratio(speed, direct?.summary[question.measure]),
      `${row.summary.p50.median.toFixed(2)} ms`,
      `${row.summary.p99.median.toFixed(2)} ms`,
      cpuOf(question, row),
      String(row.rounds.reduce((sum, { failures }) => sum + failures, 0)),
    ];
  });
  const rule = head.map((_, index) => (index === 0 ? '---' : '---:'));
  return [
    `**${question.title}**`,
    '',
    ...[head, rule, ...lines].map((cells) => `| ${cells.join(' | ')} |`),
  ].join('\n');
}

function speedOf({ measure }: Question, value: number): string {
  return measure === 'bytesPerSecond' ? (value / 1e6).toFixed(0) : value.toFixed(0);
}

function ratio(speed: Spread, other: Spread | undefined): string {
  return other === undefined ? '' : (speed.median / other.median).toFixed(2);
}

/** Per request where each is a connection, else per octets. */
function cpuOf({ load }: Question, { summary }: Row): string {
  if (load.close) return `${(summary.frontCpuPerRequest.median * 1e6).toFixed(1)} µs`;
  return `${(summary.frontCpuPerGigabyte.median * 1e3).toFixed(1)} ms/GB`;
}
