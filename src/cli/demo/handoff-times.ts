import type { Cluster } from '../../lab/cluster';
import { DurationHistogram, quantile } from '../../observe/duration-histogram';

const BUCKET = 'baton_handoff_duration_seconds_bucket';

export interface HandoffTimes {
  readonly count: number;
  /** Seconds; NaN without a handoff. */
  readonly p50: number;
  readonly p99: number;
}

/** How long the front's handoffs took, over all pools, from its own histogram. */
export async function handoffTimes(cluster: Cluster): Promise<HandoffTimes> {
  const bounds = [...DurationHistogram.BOUNDS.map(String), '+Inf'];
  const { stdout: metrics } = await cluster.frontHost.run(['curl', '-sS', '-m', '5', METRICS_URL]);
  const upTo = bounds.map((bound) => sumUpTo(metrics, bound));
  // Prometheus counts cumulatively; a quantile needs each bucket's own count.
  const counts = upTo.map((count, index) => count - (upTo[index - 1] ?? 0));
  const sample = { name: BUCKET, labels: {}, counts, sum: 0 };
  return { count: upTo.at(-1) ?? 0, p50: quantile(sample, 0.5), p99: quantile(sample, 0.99) };
}

const METRICS_URL = 'http://127.0.0.1:9180/metrics';

function sumUpTo(metrics: string, bound: string): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${BUCKET}{`) && line.includes(`le="${bound}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
