import type { PoolConfig } from '../../src/config/model';
import { Backend, ProxyTarget, type BackendOptions } from '../../src/front/backend';
import { FailureStreak } from '../../src/front/failure-streak';
import { stateOf } from '../../src/front/backend-state';
import type { Offers } from '../../src/front/offers';
import { goesByLoad, Pool } from '../../src/front/pool';

const HTTP = { host: '198.18.0.1', port: 8080, family: 4 } as const;
const OPTIONS: BackendOptions = { name: 'b1', weight: 10, number: 1, hops: {}, http: HTTP };
const TAKES = { takes: true, warmingMs: 0 };

function backendOf(options: Partial<BackendOptions>, load = 0): Backend {
  return new Backend({ ...OPTIONS, ...options }, { open: true, load } as unknown as Offers, TAKES);
}

describe('a slow start', () => {
  let now = 1000;

  beforeEach(() => {
    jest.spyOn(performance, 'now').mockImplementation(() => now);
  });

  afterEach(() => jest.restoreAllMocks());

  test('lets the weight grow with the time, from a twentieth', () => {
    const backend = backendOf({ slow_start: 10_000 });
    expect(backend.weight).toBe(10);
    backend.stand({ takes: true, warmingMs: 10_000 });
    const weights = [0, 100, 1000, 5000, 9000, 9999, 10_000, 20_000].map((passed) => {
      now = 1000 + passed;
      return backend.weight;
    });
    [0.5, 0.5, 1, 5, 9, 9.999, 10, 10].forEach((weight, i) => expect(weights[i]).toBeCloseTo(weight, 6));
  });

  test('goes on where another generation left it', () => {
    const backend = backendOf({ slow_start: 10_000 });
    backend.stand({ takes: true, warmingMs: 2500 });
    expect(backend.weight).toBe(7.5);
  });

  test('is not for a weight of 0', () => {
    const backend = backendOf({ weight: 0, slow_start: 10_000 });
    backend.stand({ takes: true, warmingMs: 10_000 });
    expect(backend.weight).toBe(0);
  });
});

describe('what is held against a backend', () => {
  const told: string[] = [];
  const streak = () =>
    new FailureStreak(3, {
      failing: (count, last) => told.push(`${count} ${last}`),
      recovered: () => told.push('recovered'),
    });

  beforeEach(() => (told.length = 0));

  test.each<[string, string, readonly string[]]>([
    ['nothing', '', []],
    ['fewer failures than the limit', 'xx', []],
    ['as many', 'xxx', ['3 timeout']],
    ['more, after as many again', 'xxxxxxx', ['3 timeout', '6 timeout']],
    ['none in a row', 'xx.xx.xx.', []],
    ['a recovery, once', 'xxxx..', ['3 timeout', 'recovered']],
    ['a failure on trial', 'xxx|x', ['3 timeout', '3 timeout']],
    ['fewer on a trial for other reasons', 'xx|x', ['3 timeout']],
    ['a success on trial', 'xxx|.xx', ['3 timeout']],
    ['a trial after a success', 'xxx.|xx', ['3 timeout', 'recovered']],
  ])('%s: %s', (_what, script, expected) => {
    const counted = streak();
    for (const step of script) {
      if (step === 'x') counted.failed('timeout');
      else if (step === '.') counted.succeeded();
      else counted.again();
    }
    expect(told).toEqual(expected);
  });

  test('of a channel that is lost with many offers, one failure; a trial begins when it takes again', () => {
    const offers = { open: true, load: 0, losses: 0 };
    const backend = new Backend(OPTIONS, offers as unknown as Offers, TAKES, streak());
    for (let loss = 1; loss <= 3; loss++) {
      expect(told).toEqual([]);
      offers.losses = loss;
      for (let offer = 0; offer < 10; offer++) backend.channelLost();
    }
    expect(told).toEqual(['3 channel_lost']);
    backend.stand({ takes: false, warmingMs: 0 });
    backend.stand(TAKES);
    backend.streak.failed('rejected');
    backend.stand({ takes: true, warmingMs: 5 });
    backend.streak.failed('rejected');
    expect(told).toEqual(['3 channel_lost', '3 rejected']);
  });
});

test.each([
  [undefined, 1_000_000, true],
  [10, 9, true],
  [10, 10, false],
  [10, 11, false],
])('with max_connections %p and a load of %i it takes more: %p', (max_connections, load, available) => {
  const backend = backendOf(max_connections === undefined ? {} : { max_connections }, load);
  expect(backend.available).toBe(available);
  expect(new ProxyTarget(backend, HTTP).available).toBe(available);
});

describe('a pool', () => {
  const config: PoolConfig = { name: 'web', balance: 'round-robin', fallback: 'proxy', backends: [] };
  const configOf = (own: object): PoolConfig['backends'][number] => ({
    name: 'b1',
    agent: { ...HTTP, port: 7400 },
    via: [],
    weight: 1,
    ...own,
  });

  test('is full when those that take connections are, and not when none does', () => {
    const full = backendOf({ max_connections: 1 }, 1);
    const away = backendOf({}, 0);
    away.stand({ takes: false, warmingMs: 0 });
    expect(new Pool(config, [full, away, backendOf({ weight: 0 })]).full).toBe(true);
    expect(new Pool(config, [full, backendOf({})]).full).toBe(false);
    expect(new Pool(config, [away]).full).toBe(false);
    expect(new Pool(config, [full]).proxies).toBe(false);
    expect(new Pool(config, [backendOf({})]).proxies).toBe(true);
  });

  test.each([
    ['round-robin', {}, false],
    ['maglev', {}, false],
    ['least-connections', {}, true],
    ['random-two', {}, true],
    ['round-robin', { max_connections: 5 }, true],
  ] as const)('of %s with %j goes by load: %p', (balance, own, expected) => {
    expect(goesByLoad({ ...config, balance, backends: [configOf(own)] }, 'b1')).toBe(expected);
    expect(goesByLoad({ ...config, balance, backends: [configOf(own)] }, 'b2')).toBe(false);
  });
});

test.each([
  [{ draining: false, up: true, ejected: false, warming: false }, 'up'],
  [{ draining: false, up: true, ejected: false, warming: true }, 'slow-start'],
  [{ draining: false, up: true, ejected: true, warming: true }, 'ejected'],
  [{ draining: false, up: false, ejected: true, warming: true }, 'down'],
  [{ draining: true, up: true, ejected: true, warming: true }, 'draining'],
  [{ draining: true, up: false, ejected: false, warming: false }, 'draining'],
] as const)('%j is %s', (circumstances, state) => {
  expect(stateOf(circumstances)).toBe(state);
});
