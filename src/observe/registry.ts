import { collectDefaultMetrics, Registry, type Metric } from 'prom-client';
import { CATALOGUE, METRIC_PREFIX, type Component, type MetricSpec } from './catalogue';
import { DurationHistogram } from './duration-histogram';
import type { HistogramSample, Sample, StatsSnapshot } from './stats';

/** One line of the exposition, as prom-client's registry prints it. */
interface Line {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

/** The lines of one scrape by metric name, without the prefix. */
type Lines = ReadonlyMap<string, readonly Line[]>;

/**
 * A registry that exports the component's catalogue and prom-client's default Node metrics.
 *
 * Each scrape calls `collect` once for all metrics, and scrapes that overlap share one call. `collect` gives merged
 * stats (see mergeStats) and must settle by itself: it has to time out a thread that does not answer. A scrape
 * rejects when `collect` does or when a sample does not fit the catalogue.
 */
export function createRegistry(component: Component, collect: () => Promise<StatsSnapshot>): Registry {
  const registry = new Registry();
  let underway: Promise<Lines> | undefined;
  const scrape = (): Promise<Lines> => {
    underway ??= collect()
      .then((snapshot) => toLines(component, snapshot))
      .finally(() => (underway = undefined));
    return underway;
  };
  for (const spec of CATALOGUE[component]) registry.registerMetric(snapshotMetric(spec, scrape));
  collectDefaultMetrics({ register: registry });
  return registry;
}

/**
 * prom-client's own metrics only count upwards one observation at a time, and the threads have counted already. Its
 * registry asks a metric for nothing but `name` and `get()`, which its types do not say: hence the cast.
 */
function snapshotMetric(spec: MetricSpec, scrape: () => Promise<Lines>): Metric {
  const name = METRIC_PREFIX + spec.name;
  const metric = {
    name,
    get: async () => ({
      name,
      help: spec.help,
      type: spec.type,
      aggregator: 'sum',
      values: (await scrape()).get(spec.name) ?? [],
    }),
  };
  return metric as unknown as Metric;
}

function toLines(component: Component, snapshot: StatsSnapshot): Lines {
  const specs = new Map(CATALOGUE[component].map((spec) => [spec.name, spec]));
  const lines = new Map<string, Line[]>();
  const add = (name: string, more: readonly Line[]): void => {
    const known = lines.get(name);
    if (known === undefined) lines.set(name, [...more]);
    else known.push(...more);
  };
  for (const sample of snapshot.samples) {
    assertFits(component, specs.get(sample.name), sample, ['counter', 'gauge']);
    add(sample.name, [{ labels: sample.labels, value: sample.value }]);
  }
  for (const sample of snapshot.histograms) {
    assertFits(component, specs.get(sample.name), sample, ['histogram']);
    add(sample.name, histogramLines(sample));
  }
  for (const spec of specs.values()) {
    if (spec.labels.length === 0 && !lines.has(spec.name)) add(spec.name, zeroLines(spec));
  }
  return lines;
}

function assertFits(
  component: Component,
  spec: MetricSpec | undefined,
  sample: Sample | HistogramSample,
  types: readonly MetricSpec['type'][],
): void {
  if (spec === undefined)
    throw new Error(`metric "${sample.name}" is not in the catalogue of the ${component}`);
  if (!types.includes(spec.type)) {
    throw new Error(`metric "${sample.name}" is a ${spec.type}, but was counted as a ${types.join(' or ')}`);
  }
  const given = Object.keys(sample.labels).sort().join(',');
  const wanted = [...spec.labels].sort().join(',');
  if (given !== wanted)
    throw new Error(`metric "${sample.name}" has labels {${given}} instead of {${wanted}}`);
}

/** The exposition format's cumulative buckets: `le` is inclusive, `+Inf` equals `_count`. */
function histogramLines(sample: HistogramSample): Line[] {
  const name = METRIC_PREFIX + sample.name;
  const lines: Line[] = [];
  let total = 0;
  for (const [index, count] of sample.counts.entries()) {
    total += count;
    const le = DurationHistogram.BOUNDS[index] ?? '+Inf';
    lines.push({ metricName: `${name}_bucket`, labels: { ...sample.labels, le }, value: total });
  }
  lines.push({ metricName: `${name}_sum`, labels: sample.labels, value: sample.sum });
  lines.push({ metricName: `${name}_count`, labels: sample.labels, value: total });
  return lines;
}

/** A series that exists from the start lets `rate()` see its first step. */
function zeroLines(spec: MetricSpec): Line[] {
  if (spec.type === 'histogram') return histogramLines(new DurationHistogram().sample(spec.name, {}));
  return [{ labels: {}, value: 0 }];
}
