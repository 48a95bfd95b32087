/** What Baton itself says about its handoffs, out of the front's and the agents' histograms. */
import type { Cluster } from '../src/lab/cluster';
import { DurationHistogram, quantile } from '../src/observe/duration-histogram';
import { scrapedHistogram } from '../src/observe/scraped-histogram';
import type { HistogramSample } from '../src/observe/stats';

/** What issue and front promise of a handoff: half are faster than the one, 99 % than the other (seconds). */
const REACH = { p50: 150e-6, p99: 1e-3 } as const;

/** Counts at one moment, or between two. */
export interface OwnTimes {
  /** Head complete to released. */
  readonly handoff: HistogramSample;
  /** OFFER read to restored, of all agents. */
  readonly restore: HistogramSample;
  /** Connections that the front went on to serve by itself. */
  readonly fallbacks: number;
}

export async function ownTimes(cluster: Cluster): Promise<OwnTimes> {
  const [front, fallbacks, ...agents] = await Promise.all([
    cluster.frontMetrics(),
    cluster.frontMetric('baton_fallbacks_total'),
    ...cluster.agents.map((_, index) => cluster.agentMetrics(index + 1)),
  ]);
  const restores = agents.map((metrics) => scrapedHistogram(metrics, 'agent_restore_duration_seconds'));
  return {
    handoff: scrapedHistogram(front, 'handoff_duration_seconds'),
    restore: restores.reduce((a, b) => combine(a, b, 1)),
    fallbacks,
  };
}

/** What has been added from one moment to another. */
export function between(before: OwnTimes, after: OwnTimes): OwnTimes {
  return added(after, before, -1);
}

export function total(parts: readonly OwnTimes[]): OwnTimes {
  return parts.reduce((a, b) => added(a, b, 1));
}

/** A column for each of `OWN_HEAD`. */
export const OWN_HEAD = [
  'handoffs',
  'fallbacks',
  'p50',
  'p99',
  `within ${micro(REACH.p50)}`,
  `within ${micro(REACH.p99)}`,
  'restore p50',
  'restore p99',
];

/** Quantiles as Prometheus estimates them; the shares are exact, because their limits are bounds of buckets. */
export function ownColumns({ handoff, restore, fallbacks }: OwnTimes): string[] {
  return [
    String(countOf(handoff)),
    String(fallbacks),
    ...[0.5, 0.99].map((share) => micro(quantile(handoff, share))),
    ...[REACH.p50, REACH.p99].map((limit) => `${(shareWithin(handoff, limit) * 100).toFixed(1)} %`),
    ...[0.5, 0.99].map((share) => micro(quantile(restore, share))),
  ];
}

function added(a: OwnTimes, b: OwnTimes, sign: 1 | -1): OwnTimes {
  return {
    handoff: combine(a.handoff, b.handoff, sign),
    restore: combine(a.restore, b.restore, sign),
    fallbacks: a.fallbacks + sign * b.fallbacks,
  };
}

function combine(a: HistogramSample, b: HistogramSample, sign: 1 | -1): HistogramSample {
  const counts = a.counts.map((count, index) => count + sign * (b.counts[index] ?? 0));
  return { ...a, counts, sum: a.sum + sign * b.sum };
}

function countOf({ counts }: HistogramSample): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function shareWithin(sample: HistogramSample, limit: number): number {
  const buckets = DurationHistogram.BOUNDS.indexOf(limit) + 1;
  return sample.counts.slice(0, buckets).reduce((sum, count) => sum + count, 0) / countOf(sample);
}

function micro(seconds: number): string {
  return `${(seconds * 1e6).toFixed(0)} µs`;
}
