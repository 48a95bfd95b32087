import type { Cluster } from '../../lab/cluster';
import { quantile } from '../../observe/duration-histogram';
import { scrapedHistogram } from '../../observe/scraped-histogram';

export interface HandoffTimes {
  readonly count: number;
  /** Seconds; NaN without a handoff. */
  readonly p50: number;
  readonly p99: number;
}

/** How long the front's handoffs took, over all pools, from its own histogram. */
export async function handoffTimes(cluster: Cluster): Promise<HandoffTimes> {
  const sample = scrapedHistogram(await cluster.frontMetrics(), 'handoff_duration_seconds');
  const count = sample.counts.reduce((total, each) => total + each, 0);
  return { count, p50: quantile(sample, 0.5), p99: quantile(sample, 0.99) };
}
