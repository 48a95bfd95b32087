/** Rounds of measurements, and what is made of them. */
import type { Bench, Measurement } from './bench';
import type { Competitor } from './competitors/competitor';
import type { Question } from './questions/question';

/** Long enough for Node to compile what is hot, and for connections to their full window. */
const WARM_UP_SECONDS = 1;

/** Of all rounds. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export type Summary = { readonly [Key in keyof Measurement]: Spread };

/** What one competitor did at one question. */
export interface Row {
  readonly competitor: string;
  readonly proxy: boolean;
  readonly summary: Summary;
  readonly rounds: readonly Measurement[];
}

/**
 * Every competitor once, then every competitor again (A B C B C A ...): what changes on the machine in the course of time
 * falls on all of them.
 */
export async function ask(
  bench: Bench,
  question: Question,
  competitors: readonly Competitor[],
  options: { readonly rounds: number; readonly seconds: number },
  progress: (text: string) => void,
): Promise<Row[]> {
  for (const competitor of competitors) {
    progress(`${question.name}: warm-up of ${competitor.name}`);
    await bench.measure(competitor, question.load, WARM_UP_SECONDS);
  }
  const measured = new Map<Competitor, Measurement[]>(competitors.map((competitor) => [competitor, []]));
  for (let round = 0; round < options.rounds; round++) {
    const first = round % competitors.length;
    for (const competitor of [...competitors.slice(first), ...competitors.slice(0, first)]) {
      progress(`${question.name}: round ${round + 1} of ${options.rounds}, ${competitor.name}`);
      measured.get(competitor)?.push(await bench.measure(competitor, question.load, options.seconds));
    }
  }
  return [...measured].map(([{ name, proxy }, rounds]) => ({
    competitor: name,
    proxy,
    summary: summarise(rounds),
    rounds,
  }));
}

function summarise(rounds: readonly Measurement[]): Summary {
  const [first] = rounds;
  if (first === undefined) throw new RangeError('no rounds');
  const keys = Object.keys(first) as (keyof Measurement)[];
  return Object.fromEntries(keys.map((key) => [key, spreadOf(rounds.map((each) => each[key]))])) as Summary;
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    least: at(0),
    most: at(sorted.length - 1),
  };
}
