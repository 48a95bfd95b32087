import pino from 'pino';
import type { BackendConfig, HealthConfig, OutlierConfig, PoolConfig } from '../../src/config/model';
import { Counters } from '../../src/front/counters';
import { OutlierWatch } from '../../src/front/outlier-watch';
import { WatchedBackend, type KnownBackend } from '../../src/front/watched-backend';
import type { Link } from '../../src/wire/link';
import { OUTLIERS } from '../health/configs';

const HTTP = { host: '198.18.0.1', port: 8080, family: 4 } as const;
const HEALTH: HealthConfig = {
  path: '/healthz',
  expect: [{ first: 200, last: 399 }],
  headers: {},
  interval: 2000,
  jitter: 0.1,
  timeout: 1000,
  rise: 2,
  fall: 3,
};
const FINDING = { cause: 'errors', detail: '20 of 20 responses in 10 s were 5xx' } as const;

/** These backends have no `via`. */
const noHops = {
  of: (): never => {
    throw new Error('no next hop is asked for');
  },
};

type Known = KnownBackend | 'first' | undefined;

/** A backend whose agent is there, and what it was heard to do: `before > after: cause`. */
function watched(pool: Partial<PoolConfig>, own: Partial<BackendConfig> = {}, known: Known = 'first') {
  const link = { up: true, lastCause: 'closed' };
  const agent = { link: link as unknown as Link, draining: false };
  const config: BackendConfig = { name: 'b1', agent: HTTP, via: [], http: HTTP, weight: 1, ...own };
  const poolConfig: PoolConfig = {
    name: 'web',
    balance: 'round-robin',
    fallback: 'proxy',
    backends: [config],
    ...pool,
  };
  const heard: string[] = [];
  const backend = new WatchedBackend(
    poolConfig,
    config,
    1,
    agent,
    noHops,
    known,
    ({ state }, before, cause) => heard.push(`${before} > ${state}: ${cause}`),
  );
  return { backend, link, agent, heard };
}

/** What a reload or a restart passes on. */
function passed(backend: WatchedBackend): KnownBackend {
  return JSON.parse(JSON.stringify(backend.known)) as KnownBackend;
}

test('a backend drains where its agent does, and that is for its agent to end', () => {
  const { backend, agent, heard } = watched({});
  agent.draining = true;
  backend.review('its agent drains');
  expect([backend.state, backend.standing.takes, backend.known.draining]).toEqual(['draining', false, false]);
  backend.drain(false);
  expect(backend.state).toBe('draining');
  agent.draining = false;
  backend.review('its agent is ready again');
  expect([backend.state, backend.standing.takes]).toEqual(['up', true]);
  expect(heard.filter((each) => !each.startsWith('draining > draining'))).toEqual([
    'up > draining: its agent drains',
    'draining > up: its agent is ready again',
  ]);
});

describe('an ejected backend', () => {
  test('takes nothing until it is back, and says why', () => {
    const { backend, heard } = watched({ outliers: OUTLIERS });
    backend.eject(FINDING);
    expect([backend.state, backend.cause, backend.standing.takes]).toEqual([
      'ejected',
      FINDING.detail,
      false,
    ]);
    expect(backend.up).toBe(true);
    expect(backend.ejectedMs).toBeGreaterThan(9_000);
    backend.readmit('its ejection is over');
    expect([backend.state, backend.standing.takes, backend.ejectedMs]).toEqual(['up', true, 0]);
    expect(heard).toEqual([`up > ejected: ${FINDING.detail}`, 'ejected > up: its ejection is over']);
  });

  test('stays so when its channel was away, and says the same cause', () => {
    const { backend, link } = watched({ outliers: OUTLIERS });
    backend.eject(FINDING);
    link.up = false;
    backend.review('control channel: closed');
    expect([backend.state, backend.eligible]).toEqual(['down', false]);
    link.up = true;
    backend.review('control channel is up');
    expect([backend.state, backend.cause]).toEqual(['ejected', FINDING.detail]);
  });

  test('comes back in a slow start, where it has one', async () => {
    const { backend } = watched({ outliers: OUTLIERS }, { slow_start: 5000 });
    backend.started();
    backend.eject(FINDING);
    backend.readmit('its ejection is over');
    expect(backend.state).toBe('slow-start');
    expect(backend.standing.warmingMs).toBeGreaterThan(4000);
    await backend.stop();
  });

  test('is no longer ejected when the operator says that it is ready', () => {
    const { backend } = watched({ outliers: OUTLIERS });
    backend.eject(FINDING);
    backend.drain(true);
    expect(backend.state).toBe('draining');
    backend.drain(false);
    expect([backend.state, backend.known.ejections]).toEqual(['up', undefined]);
  });

  test('stays ejected through a reload, unless the pool ejects nobody any more', () => {
    const { backend } = watched({ outliers: OUTLIERS });
    backend.eject(FINDING);
    const { backend: next } = watched({ outliers: OUTLIERS }, {}, passed(backend));
    expect([next.state, next.cause, next.standing.takes]).toEqual(['ejected', FINDING.detail, false]);
    expect(next.ejectedMs).toBeLessThanOrEqual(10_000);
    expect(watched({}, {}, passed(next)).backend.state).toBe('up');
  });

  test.each([
    ['up', 1, true],
    ['without a weight', 0, false],
  ])('is counted among those that could take connections when it is %s', (_what, weight, expected) => {
    const { backend } = watched({ outliers: OUTLIERS }, { weight });
    backend.eject(FINDING);
    expect(backend.eligible).toBe(expected);
  });
});

describe('what checks have said', () => {
  /** Whether a backend that was healthy is so before the first check of another generation. */
  function keeps(health: HealthConfig, own: Partial<BackendConfig> = {}): boolean {
    const before = passed(watched({ health: HEALTH }).backend);
    return watched({ health }, own, { ...before, healthy: true }).backend.healthy;
  }

  test.each<[string, HealthConfig]>([
    ['the same', { ...HEALTH }],
    ['asked at another interval', { ...HEALTH, interval: 5, jitter: 0, timeout: 7, rise: 1, fall: 1 }],
  ])('holds for %s', (_what, health) => {
    expect(keeps(health)).toBe(true);
  });

  test.each<[string, Partial<HealthConfig>]>([
    ['path', { path: '/other' }],
    ['expectation', { expect: [{ first: 200, last: 200 }] }],
    ['header', { headers: { host: 'other' } }],
    ['port', { port: 81 }],
    ['way', { tls: { insecure: false } }],
  ])('is worth nothing for another %s', (_what, own) => {
    expect(keeps({ ...HEALTH, ...own })).toBe(false);
  });

  test('is worth nothing for another address, and has no secrets in it', () => {
    expect(keeps(HEALTH, { http: { ...HTTP, port: 81 } })).toBe(false);
    const { backend } = watched({ health: { ...HEALTH, headers: { authorization: 'Bearer secret' } } });
    expect(JSON.stringify(backend.known)).not.toContain('secret');
  });
});

describe('OutlierWatch', () => {
  function pool(config: OutlierConfig) {
    const lines: string[] = [];
    const write = (line: string): void => void lines.push((JSON.parse(line) as { msg: string }).msg);
    const backends = ['b1', 'b2'].map((name) => watched({ outliers: config }, { name }).backend);
    const counters = new Counters();
    const watch = new OutlierWatch('web', config, backends, counters, pino({}, { write }));
    return { watch, backends, lines };
  }

  const ERRORS = { responses: 20, serverErrors: 20, totalMs: 0 };

  test('decides from its start on, counts, and takes back when the time is over', async () => {
    const { watch, backends, lines } = pool({ ...OUTLIERS, eject: 30, max_eject: 60 });
    watch.failing('b1', 0, { count: 5, result: 'timeout' });
    expect(backends.map(({ state }) => state)).toEqual(['up', 'up']);
    watch.start();
    expect(backends.map(({ state }) => state)).toEqual(['ejected', 'up']);
    watch.responded('b2', ERRORS);
    expect(watch.withheld('b2')).toBe('20 of 20 responses in 10 s were 5xx');
    expect(watch.panic).toEqual({ name: 'pool_panic', labels: { pool: 'web' }, value: 1 });
    while (backends[1]?.state !== 'ejected') await new Promise((resolve) => setTimeout(resolve, 5));
    while (backends[1].ejection !== undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    watch.stop();
    expect(backends.map(({ state }) => state)).toEqual(['up', 'up']);
    expect(watch.panic.value).toBe(0);
    expect(lines).toEqual([
      'pool is in panic mode: a backend stays that should be ejected, too few are left',
      'pool is out of panic mode',
    ]);
    const counted = watch.ejections.map(({ labels, value }) => `${labels.backend} ${labels.cause} ${value}`);
    expect(counted).toEqual([
      'b1 errors 0',
      'b1 latency 0',
      'b1 failures 1',
      'b2 errors 1',
      'b2 latency 0',
      'b2 failures 0',
    ]);
  });

  test('stops for good', () => {
    const { watch, backends } = pool(OUTLIERS);
    watch.start();
    watch.stop();
    watch.responded('b1', ERRORS);
    expect(backends.map(({ state }) => state)).toEqual(['up', 'up']);
  });
});
