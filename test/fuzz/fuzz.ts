import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { amount, SOAK } from '../soak';
import { Mutator, randomFor, seedOf, type Random } from './mutator';
import { Watchdog } from './watchdog';

/** Mutated inputs in a CI run: a second or two of them, on an idle machine. A soak takes all that there is time for. */
const CASES = 10_000;
/** In CI only a bound for a machine that is busy with other things. */
const RUN_MS = amount(20_000, 120_000);
/** The longest that a case may take: a thousand times the usual, for the same reason. */
const CASE_MS = 2_000;
/** Cases before memory is measured for the first time, at most: tables and compiled code come with them. */
const WARM_UP = 500;
/** What may be left behind after the collector has been. */
const MOST_GROWTH_BYTES = 32 * 1024 * 1024;
/** Targets that never wait must let the timers and sockets of others have their turn. */
const TURN = 1000;

export interface FuzzTarget {
  readonly corpus: readonly Buffer[];
  /** Pieces that mean something to the target. */
  readonly dictionary?: readonly (Buffer | string)[];
  /** Throws when the target does what it must not. */
  readonly check: (input: Buffer, random: Random) => void | Promise<void>;
  /** Mutated inputs in CI, where the usual number takes too long. */
  readonly cases?: number;
}

/**
 * Tries the corpus, and then mutations of it. A failure says how to repeat it, and prints its input as a line for the
 * corpus file. Prints and returns how many inputs there were.
 */
export async function fuzz(name: string, target: FuzzTarget): Promise<number> {
  const { seed, only } = seedOf();
  const mutator = new Mutator(target.corpus, target.dictionary);
  if (only !== undefined) {
    const random = randomFor(seed, only);
    await attempt(name, target, `BATON_SEED=${seed}:${only}`, mutator.make(random), random);
    return 1;
  }

  let slowest = 0;
  for (const [line, input] of target.corpus.entries()) {
    await attempt(name, target, `corpus ${line}`, input, randomFor(seed, line));
  }
  const watchdog = new Watchdog(`fuzz ${name}, BATON_SEED=${seed}`);
  const deadline = performance.now() + RUN_MS;
  const cases = SOAK ? Infinity : (target.cases ?? CASES);
  const warmUp = Math.min(WARM_UP, Math.floor(cases / 4));
  let before = 0;
  let index = 0;
  try {
    for (; index < cases && performance.now() < deadline; index++) {
      if (index === warmUp) before = heldBytes();
      if (index % TURN === 0) await new Promise(setImmediate);
      watchdog.see(index);
      const random = randomFor(seed, index);
      const ms = await attempt(name, target, `BATON_SEED=${seed}:${index}`, mutator.make(random), random);
      slowest = Math.max(slowest, ms);
    }
  } finally {
    await watchdog.stop();
  }
  expectNoGrowth(name, index, slowest, before === 0 ? 0 : heldBytes() - before);
  return target.corpus.length + index;
}

/** Tries one input and returns how many milliseconds it took. */
async function attempt(
  name: string,
  { check }: FuzzTarget,
  label: string,
  input: Buffer,
  random: Random,
): Promise<number> {
  const began = performance.now();
  try {
    await check(input, random);
    const took = performance.now() - began;
    if (took > CASE_MS) throw new Error(`took ${took.toFixed(0)} ms`);
    return took;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const line = JSON.stringify(input.toString('latin1'));
    throw new Error(`fuzz ${name}, ${label}: ${message}\nfor the corpus: ${line}`, { cause });
  }
}

function expectNoGrowth(name: string, cases: number, slowest: number, grown: number): void {
  process.stdout.write(
    `  fuzz ${name}: ${cases} mutated inputs, slowest ${slowest.toFixed(1)} ms, ` +
      `${(grown / 2 ** 20).toFixed(1)} MiB more in use\n`,
  );
  if (grown > MOST_GROWTH_BYTES) throw new Error(`fuzz ${name}: ${grown} bytes more in use`);
}

/** Bytes that live objects hold, buffers included. */
export function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  // What the first one finds of buffers is freed beside the program, and certainly when the second begins.
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** The inputs of a corpus file: one JSON string per line, whose characters are octets; `#` begins a remark. */
export function corpusOf(file: string): Buffer[] {
  return readFileSync(join(__dirname, 'corpus', file), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => Buffer.from(JSON.parse(line) as string, 'latin1'));
}
