import { METRIC_PREFIX } from './catalogue';
import { DurationHistogram } from './duration-histogram';
import type { HistogramSample } from './stats';

/** A histogram over DurationHistogram.BOUNDS out of a scrape, all its series added up; `name` is without the prefix. */
export function scrapedHistogram(metrics: string, name: string): HistogramSample {
  const series = METRIC_PREFIX + name;
  const lines = metrics.split('\n');
  const bounds = [...DurationHistogram.BOUNDS.map(String), '+Inf'];
  const upTo = bounds.map((bound) =>
    sum(lines.filter((line) => line.startsWith(`${series}_bucket{`) && line.includes(`le="${bound}"`))),
  );
  // Prometheus counts cumulatively; a quantile needs each bucket's own count.
  const counts = upTo.map((count, index) => count - (upTo[index - 1] ?? 0));
  return {
    name,
    labels: {},
    counts,
    sum: sum(lines.filter((line) => line.startsWith(`${series}_sum{`) || line.startsWith(`${series}_sum `))),
  };
}

function sum(lines: readonly string[]): number {
  return lines.reduce((total, line) => total + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
