/** What processes use while something runs, on a machine that may have other things to do. */
import { cpuSeconds, foreignCpuSeconds, foreignLoad, treeOf } from './cpu';

/** Foreign load that spoils a measurement, as a share of one CPU. */
const MOST_FOREIGN = 0.05;
/** Then it is repeated, up to so many times. */
const MOST_REPEATS = 3;

export interface Watched<T> {
  readonly result: T;
  /** Seconds of CPU of each group. */
  readonly cpu: readonly number[];
  /** What other processes of the machine used meanwhile, as a share of one CPU. */
  readonly foreign: number;
}

/**
 * Runs `work` and says what groups of processes used meanwhile, each process with its children; again where something else
 * took the machine's time. What this process starts is not foreign.
 */
export async function watched<T>(
  groups: readonly (readonly number[])[],
  work: () => Promise<T>,
): Promise<Watched<T>> {
  for (let repeats = 0; ; repeats++) {
    const seen = await once(groups, work);
    if (seen.foreign < MOST_FOREIGN || repeats === MOST_REPEATS) return seen;
  }
}

async function once<T>(groups: readonly (readonly number[])[], work: () => Promise<T>): Promise<Watched<T>> {
  const trees = groups.map((pids) => pids.flatMap(treeOf));
  const own = new Set([...treeOf(process.pid), ...trees.flat()]);
  const before = trees.map(cpuSeconds);
  const foreignBefore = foreignCpuSeconds(own);
  const began = performance.now();
  const result = await work();
  const elapsed = (performance.now() - began) / 1000;
  const cpu = trees.map((tree, index) => cpuSeconds(tree) - (before[index] ?? 0));
  return { result, cpu, foreign: foreignLoad(foreignBefore, foreignCpuSeconds(own)) / elapsed };
}
