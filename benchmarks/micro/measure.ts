/**
 * How long a call takes, and how long its yardstick takes at the same time. Batches are short and alternate, and the least of
 * many counts: whatever else the machine does makes a batch longer and never shorter, so on a busy one the least is still
 * what it is on an idle one, and a function's cost in yardsticks the same on a slow one as on a fast one.
 */
import type { Micro, Yardstick } from './micro';

/** Until V8 has compiled what is hot. */
const WARM_UP_MS = 250;
const MEASURE_MS = 600;

export interface Cost {
  readonly name: string;
  readonly yardstick: Yardstick;
  /** Microseconds of a call. */
  readonly call: number;
  /** Of a call of the yardstick. */
  readonly unit: number;
}

export async function measure(micro: Micro, calibration: Micro): Promise<Cost> {
  await alternate(micro, calibration, WARM_UP_MS);
  const [call, unit] = await alternate(micro, calibration, MEASURE_MS);
  return { name: micro.name, yardstick: micro.yardstick, call, unit };
}

/** The least time of a call of each, in microseconds. */
async function alternate(micro: Micro, calibration: Micro, forMs: number): Promise<[number, number]> {
  const least: [number, number] = [Infinity, Infinity];
  const end = performance.now() + forMs;
  while (performance.now() < end) {
    least[0] = Math.min(least[0], timeOf(micro));
    least[1] = Math.min(least[1], timeOf(calibration));
    // What a batch has left for the end of the turn is done now, between two measurements.
    await new Promise(setImmediate);
  }
  return least;
}

function timeOf({ batch, calls }: Micro): number {
  const began = performance.now();
  batch();
  return ((performance.now() - began) / calls) * 1000;
}
