import { CATALOGUE, METRIC_PREFIX } from '../../src/observe/catalogue';
import { DurationHistogram } from '../../src/observe/duration-histogram';
import { createRegistry } from '../../src/observe/registry';
import type { StatsSnapshot } from '../../src/observe/stats';

const empty: StatsSnapshot = { samples: [], histograms: [] };

/** The project's lines of one scrape, without comments and Node's own metrics. */
async function scrape(component: 'front' | 'agent', snapshot: StatsSnapshot): Promise<string[]> {
  const text = await createRegistry(component, () => Promise.resolve(snapshot)).metrics();
  return text.split('\n').filter((line) => line.startsWith(METRIC_PREFIX));
}

function counterOf(name: string, labels: Record<string, string>): StatsSnapshot {
  return { samples: [{ name, labels, value: 1 }], histograms: [] };
}

describe('the catalogue', () => {
  // Dashboards, alerts and tests outside the project rely on exactly these.
  test('has the contract names, types and labels', () => {
    const lines = (component: 'front' | 'agent') =>
      CATALOGUE[component].map(
        ({ name, type, labels }) => `${type} ${METRIC_PREFIX}${name}{${labels.join(',')}}`,
      );
    expect(lines('front')).toEqual([
      'counter baton_connections_accepted_total{listener}',
      'counter baton_handoffs_total{pool,backend,result}',
      'histogram baton_handoff_duration_seconds{pool}',
      'counter baton_handbacks_total{reason,result}',
      'counter baton_moves_total{reason,result}',
      'histogram baton_move_duration_seconds{reason}',
      'counter baton_fallbacks_total{reason}',
      'counter baton_heads_refused_total{reason}',
      'counter baton_responses_total{action,code}',
      'counter baton_exhausted_total{resource}',
      'gauge baton_flows{backend}',
      'gauge baton_flow_capacity{}',
      'gauge baton_certificate_expiry_timestamp_seconds{node}',
      'counter baton_flows_reset_total{backend}',
      'counter baton_steered_packets_total{backend}',
      'counter baton_steered_bytes_total{backend}',
      'gauge baton_backend_up{pool,backend}',
      'gauge baton_backend_state{pool,backend,state}',
      'counter baton_ejections_total{pool,backend,cause}',
      'gauge baton_pool_panic{pool}',
      'gauge baton_backend_connections{backend}',
      'counter baton_discovery_total{pool,result}',
      'counter baton_config_reloads_total{result}',
      'counter baton_log_lines_dropped_total{}',
    ]);
    expect(lines('agent')).toEqual([
      'counter baton_agent_adoptions_total{result}',
      'histogram baton_agent_restore_duration_seconds{}',
      'gauge baton_agent_certificate_expiry_timestamp_seconds{node}',
      'gauge baton_agent_connections{}',
      'counter baton_agent_requests_total{code}',
      'counter baton_agent_diverted_requests_total{action}',
      'counter baton_agent_access_lines_dropped_total{}',
      'counter baton_agent_response_bytes_total{}',
      'counter baton_log_lines_dropped_total{}',
    ]);
  });
});

describe('createRegistry', () => {
  test('exports exact values with their labels', async () => {
    const lines = await scrape('front', {
      samples: [
        { name: 'handoffs_total', labels: { pool: 'web', backend: 'b1', result: 'ok' }, value: 7 },
        { name: 'handoffs_total', labels: { pool: 'web', backend: 'b"2', result: 'ok' }, value: 2 ** 53 },
        { name: 'backend_up', labels: { pool: 'web', backend: 'b1' }, value: 0 },
        { name: 'flow_capacity', labels: {}, value: 1048576 },
      ],
      histograms: [],
    });
    expect(lines).toEqual([
      'baton_handoffs_total{pool="web",backend="b1",result="ok"} 7',
      'baton_handoffs_total{pool="web",backend="b\\"2",result="ok"} 9007199254740992',
      'baton_flow_capacity 1048576',
      'baton_backend_up{pool="web",backend="b1"} 0',
      'baton_log_lines_dropped_total 0',
    ]);
  });

  test('a second scrape replaces the values of the first', async () => {
    let value = 5;
    const registry = createRegistry('agent', () =>
      Promise.resolve({
        samples: [{ name: 'agent_response_bytes_total', labels: {}, value: value++ }],
        histograms: [],
      }),
    );
    expect(await registry.metrics()).toMatch(/^baton_agent_response_bytes_total 5$/m);
    expect(await registry.metrics()).toMatch(/^baton_agent_response_bytes_total 6$/m);
  });

  test('exports cumulative buckets, sum and count', async () => {
    const histogram = new DurationHistogram();
    for (const seconds of [20e-6, 60e-6, 60e-6, 100]) histogram.observe(seconds);
    const lines = await scrape('front', {
      samples: [],
      histograms: [histogram.sample('handoff_duration_seconds', { pool: 'web' })],
    });
    const name = 'baton_handoff_duration_seconds';
    expect(lines.slice(0, 4)).toEqual([
      `${name}_bucket{pool="web",le="0.000025"} 1`,
      `${name}_bucket{pool="web",le="0.00005"} 1`,
      `${name}_bucket{pool="web",le="0.000075"} 3`,
      `${name}_bucket{pool="web",le="0.0001"} 3`,
    ]);
    expect(lines).toContain(`${name}_bucket{pool="web",le="10"} 3`);
    expect(lines).toContain(`${name}_bucket{pool="web",le="+Inf"} 4`);
    expect(lines).toContain(`${name}_sum{pool="web"} ${20e-6 + 60e-6 + 60e-6 + 100}`);
    expect(lines).toContain(`${name}_count{pool="web"} 4`);
  });

  test('metrics without labels start at zero, those with labels are absent', async () => {
    expect(await scrape('front', empty)).toEqual([
      'baton_flow_capacity 0',
      'baton_log_lines_dropped_total 0',
    ]);
    const agent = await scrape('agent', empty);
    expect(agent).toContain('baton_agent_connections 0');
    expect(agent).toContain('baton_agent_response_bytes_total 0');
    expect(agent).toContain('baton_agent_restore_duration_seconds_bucket{le="+Inf"} 0');
    expect(agent).toContain('baton_agent_restore_duration_seconds_count 0');
    expect(agent.join()).not.toContain('agent_requests_total');
  });

  test('announces help and type of every metric, and the Node defaults beside them', async () => {
    const text = await createRegistry('front', () => Promise.resolve(empty)).metrics();
    for (const { name, type, help } of CATALOGUE.front) {
      expect(text).toContain(`# HELP baton_${name} ${help}\n# TYPE baton_${name} ${type}\n`);
    }
    expect(text).toMatch(/^process_cpu_seconds_total \d/m);
    expect(text).toMatch(/^nodejs_version_info\{/m);
    expect(text).not.toContain('baton_agent');
  });

  test('overlapping scrapes share one collect, a later one collects anew', async () => {
    let collects = 0;
    const registry = createRegistry('front', () => {
      collects += 1;
      return new Promise((resolve) => setImmediate(resolve, empty));
    });
    await Promise.all([registry.metrics(), registry.metrics(), registry.metrics()]);
    expect(collects).toBe(1);
    await registry.metrics();
    expect(collects).toBe(2);
  });

  test('a scrape fails with its collect, and the next one is not affected', async () => {
    let fail = true;
    const registry = createRegistry('front', () =>
      fail ? Promise.reject(new Error('thread 2 did not answer')) : Promise.resolve(empty),
    );
    await expect(registry.metrics()).rejects.toThrow('thread 2 did not answer');
    fail = false;
    await expect(registry.metrics()).resolves.toContain('baton_flow_capacity 0');
  });

  test.each([
    ['an unknown name', counterOf('flowz', {}), 'metric "flowz" is not in the catalogue of the front'],
    [
      'a name of the other component',
      counterOf('agent_connections', {}),
      'is not in the catalogue of the front',
    ],
    ['a missing label', counterOf('flows', {}), 'metric "flows" has labels {} instead of {backend}'],
    ['a label too many', counterOf('flow_capacity', { a: 'b' }), 'has labels {a} instead of {}'],
    [
      'a histogram as a value',
      counterOf('handoff_duration_seconds', { pool: 'w' }),
      'is a histogram, but was counted',
    ],
    [
      'a value as a histogram',
      { samples: [], histograms: [new DurationHistogram().sample('flow_capacity', {})] },
      'metric "flow_capacity" is a gauge, but was counted as a histogram',
    ],
  ])('%s is a programming error that says so', async (_what, snapshot, message) => {
    await expect(scrape('front', snapshot)).rejects.toThrow(message);
  });
});
