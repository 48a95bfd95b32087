/** Questions of one kind: the same load on every competitor, and who serves it how fast. */
import type { Load, Measurement } from '../bench';
import { inRounds } from '../rounds';
import { formatRatio, spreadOf, type Spread } from '../spread';
import { markdown } from '../table';
import type { Answer, Context, Question } from './question';

/** Long enough for Node to compile what is hot, and for connections to their full window. */
const WARM_UP_SECONDS = 2;

export interface LoadQuestion {
  readonly name: string;
  readonly title: string;
  readonly load: Load;
  /** What decides: octets where responses are large. */
  readonly measure: 'requestsPerSecond' | 'bytesPerSecond';
}

type Summary = { readonly [Key in keyof Measurement]: Spread };

/** What one competitor did. */
interface Row {
  readonly competitor: string;
  readonly proxy: boolean;
  readonly summary: Summary;
  readonly rounds: readonly Measurement[];
}

export function loadQuestion(question: LoadQuestion): Question {
  const { name, title } = question;
  return { name, title, ask: (context) => ask(question, context) };
}

async function ask(question: LoadQuestion, context: Context): Promise<Answer> {
  const rows = await rowsOf(question, context);
  const bars = rows.map(({ competitor, summary }) => ({
    name: competitor,
    value: summary[question.measure],
    label: `${speedOf(question, summary[question.measure].median)} ${unitOf(question)}`,
  }));
  return { table: tableOf(question, rows), data: rows, bars: [{ title: question.title, bars }] };
}

async function rowsOf({ name, load }: LoadQuestion, context: Context): Promise<Row[]> {
  const bench = await context.bench();
  const measured = await inRounds(context.competitors, context, {
    name,
    warmUp: (competitor) => bench.warmUp(competitor, load, WARM_UP_SECONDS),
    measure: (competitor) => bench.measure(competitor, load, context.seconds),
  });
  return [...measured].map(([{ name: competitor, proxy }, all]) => ({
    competitor,
    proxy,
    summary: summarise(all),
    rounds: all,
  }));
}

function summarise(rounds: readonly Measurement[]): Summary {
  const [first] = rounds;
  if (first === undefined) throw new RangeError('no rounds');
  const keys = Object.keys(first) as (keyof Measurement)[];
  return Object.fromEntries(keys.map((key) => [key, spreadOf(rounds.map((each) => each[key]))])) as Summary;
}

/** The fastest of those that relay. */
function bestProxy({ measure }: LoadQuestion, rows: readonly Row[]): Row | undefined {
  const speed = ({ summary }: Row): number => summary[measure].median;
  return rows.filter(({ proxy }) => proxy).sort((a, b) => speed(b) - speed(a))[0];
}

/** A line for each competitor, with its ratios to the best proxy and to the direct way. */
function tableOf(question: LoadQuestion, rows: readonly Row[]): string {
  const { load, measure } = question;
  const best = bestProxy(question, rows);
  const direct = rows.find(({ competitor }) => competitor === 'direct');
  const of = (rounds: readonly Measurement[], key: keyof Measurement): number[] =>
    rounds.map((each) => each[key]);
  const ratio = (rounds: readonly Measurement[], other: Row | undefined, key: keyof Measurement): string =>
    formatRatio(of(rounds, key), other && of(other.rounds, key));
  const lines = rows.map(({ competitor, summary, rounds }) => [
    competitor,
    speedOf(question, summary[measure].median),
    `${speedOf(question, summary[measure].least)}-${speedOf(question, summary[measure].most)}`,
    ratio(rounds, best, measure),
    ratio(rounds, direct, measure),
    `${summary.p50.median.toFixed(2)} ms`,
    `${summary.p99.median.toFixed(2)} ms`,
    ratio(rounds, direct, 'p99'),
    load.close
      ? `${(summary.frontCpuPerRequest.median * 1e6).toFixed(1)} µs`
      : `${(summary.frontCpuPerGigabyte.median * 1e3).toFixed(1)} ms/GB`,
    `${(summary.backendCpuPerRequest.median * 1e6).toFixed(0)} µs`,
    String(rounds.reduce((sum, { failures }) => sum + failures, 0)),
  ]);
  const head = [
    '',
    unitOf(question),
    'spread',
    '/ best proxy',
    '/ direct',
    'p50',
    'p99',
    'p99 / direct',
    'front CPU',
    'backend CPU',
    'failures',
  ];
  return markdown(head, lines);
}

function unitOf({ measure }: LoadQuestion): string {
  return measure === 'bytesPerSecond' ? 'MB/s' : 'requests/s';
}

function speedOf({ measure }: LoadQuestion, value: number): string {
  return measure === 'bytesPerSecond' ? (value / 1e6).toFixed(0) : value.toFixed(0);
}
