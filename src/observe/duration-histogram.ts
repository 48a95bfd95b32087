import type { HistogramSample } from './stats';

/**
 * Upper bounds in seconds. Dense between 25 µs and 1 ms, where handoffs live; coarse up to 10 s, the longest
 * timeout that a healthy set-up has.
 */
const BOUNDS: readonly number[] = [
  25e-6, 50e-6, 75e-6, 100e-6, 150e-6, 200e-6, 300e-6, 400e-6, 500e-6, 750e-6, 1e-3, 1.5e-3, 2e-3, 3e-3, 5e-3,
  7.5e-3, 10e-3, 25e-3, 50e-3, 100e-3, 250e-3, 500e-3, 1, 2.5, 5, 10,
];

/** Counts durations per bucket; a bucket includes its upper bound, as in Prometheus. */
export class DurationHistogram {
  static readonly BOUNDS = BOUNDS;

  /** A typed array, so that counting never allocates; exact up to 2^53. */
  private readonly counts = new Float64Array(BOUNDS.length + 1);
  private sum = 0;

  /** Adds one duration: seconds, from a monotonic clock, not negative. Made for hot paths. */
  observe(seconds: number): void {
    const index = bucketOf(seconds);
    this.counts[index] = (this.counts[index] ?? 0) + 1;
    this.sum += seconds;
  }

  /** A copy of the current counts; the histogram goes on counting. */
  sample(name: string, labels: Readonly<Record<string, string>>): HistogramSample {
    return { name, labels, counts: Array.from(this.counts), sum: this.sum };
  }
}

/** A linear scan: durations sit in the first few buckets, where it beats a binary search. */
function bucketOf(seconds: number): number {
  let index = 0;
  for (const bound of BOUNDS) {
    if (seconds <= bound) return index;
    index += 1;
  }
  return index;
}

/**
 * Estimates the q-quantile (0..1) of a sample over DurationHistogram.BOUNDS in seconds, linear inside the bucket.
 * Above the last bound nothing is known but the bound itself, so that is the answer; NaN without observations.
 */
export function quantile(sample: HistogramSample, q: number): number {
  const rank = q * sample.counts.reduce((total, count) => total + count, 0);
  let below = 0;
  let lower = 0;
  for (const [index, count] of sample.counts.entries()) {
    const upper = BOUNDS[index] ?? lower;
    if (count > 0 && below + count >= rank) return lower + (upper - lower) * ((rank - below) / count);
    below += count;
    lower = upper;
  }
  return Number.NaN;
}
