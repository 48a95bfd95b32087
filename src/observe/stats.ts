/** One counter or gauge value; `name` is without the `baton_` prefix. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One histogram over DurationHistogram.BOUNDS; `name` is without the `baton_` prefix. */
export interface HistogramSample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Observations per bucket, not cumulative; the last bucket is everything above the last bound. */
  readonly counts: readonly number[];
  /** Sum of all observations, in seconds. */
  readonly sum: number;
}

/** What one thread counted so far. Plain data, so that it crosses threads by structured clone. */
export interface StatsSnapshot {
  readonly samples: readonly Sample[];
  readonly histograms: readonly HistogramSample[];
}

/**
 * One snapshot out of those of several threads: values of equal name and labels are summed, in the order of
 * their first appearance. Gauges are summed too, so a gauge that is not a share of a total (`backend_up`) must
 * come from one thread only.
 * @throws Error when histograms of equal name and labels differ in their number of buckets.
 */
export function mergeStats(parts: readonly StatsSnapshot[]): StatsSnapshot {
  return {
    samples: mergeByIdentity(
      parts.flatMap((part) => part.samples),
      (a, b) => ({ ...a, value: a.value + b.value }),
    ),
    histograms: mergeByIdentity(
      parts.flatMap((part) => part.histograms),
      addHistograms,
    ),
  };
}

interface Identified {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

function mergeByIdentity<T extends Identified>(items: readonly T[], add: (a: T, b: T) => T): T[] {
  const merged = new Map<string, T>();
  for (const item of items) {
    const key = identity(item);
    const known = merged.get(key);
    merged.set(key, known === undefined ? item : add(known, item));
  }
  return [...merged.values()];
}

/** Label order is an accident of the code that counted, so it must not tell two samples apart. */
function identity(item: Identified): string {
  const labels = Object.entries(item.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([item.name, labels]);
}

function addHistograms(a: HistogramSample, b: HistogramSample): HistogramSample {
  if (a.counts.length !== b.counts.length) {
    throw new Error(`merge ${a.name}: ${a.counts.length} buckets against ${b.counts.length}`);
  }
  return {
    ...a,
    counts: a.counts.map((count, index) => count + (b.counts[index] ?? 0)),
    sum: a.sum + b.sum,
  };
}
