import type { BackendConfig, DiscoveryConfig, FrontConfig, PoolConfig } from '../../src/config/model';
import { backendOf, withDiscovered } from '../../src/discovery/discovered';
import type { Member } from '../../src/discovery/member';

const DISCOVERY: DiscoveryConfig = {
  dns: 'api.internal',
  records: 'addresses',
  port: 7400,
  min_interval: 1000,
  max_interval: 60_000,
};
const member = (host: string, rest: Partial<Member> = {}): Member => ({
  name: host,
  addresses: [{ host, family: 4 }],
  ...rest,
});
const listed = (name: string, host: string): BackendConfig => ({
  name,
  agent: { host, port: 7400, family: 4 },
  via: [{ host, family: 4 }],
  weight: 1,
});

function configOf(pools: Record<string, Partial<PoolConfig>>): FrontConfig {
  const made = Object.entries(pools).map(([name, pool]) => ({
    ...{ name, balance: 'round-robin', fallback: 'proxy', backends: [], discovery: DISCOVERY },
    ...pool,
  }));
  return { pools: made } as unknown as FrontConfig;
}

const namesIn = ({ pools }: FrontConfig): string[][] =>
  pools.map(({ backends }) => backends.map(({ name }) => name));

describe('a member as a backend', () => {
  test('has its own address as its next hop, and the keys of its pool', () => {
    expect(backendOf(member('198.18.0.21'), DISCOVERY)).toEqual(listed('198.18.0.21', '198.18.0.21'));
    const keys = { http_port: 8080, weight: 5, max_connections: 9, slow_start: 100 };
    expect(backendOf(member('198.18.0.21'), { ...DISCOVERY, ...keys })).toEqual({
      ...listed('198.18.0.21', '198.18.0.21'),
      http: { host: '198.18.0.21', port: 8080, family: 4 },
      weight: 5,
      max_connections: 9,
      slow_start: 100,
    });
  });

  test('has the port and the weight of its record, and a next hop per family', () => {
    const addresses = [
      { host: '198.18.0.21', family: 4 },
      { host: '2001:2::21', family: 6 },
    ] as const;
    const services: DiscoveryConfig = { ...DISCOVERY, records: 'services' };
    const srv = member('b1.internal', { addresses, port: 7401, weight: 0 });
    expect(backendOf(srv, services)).toMatchObject({
      agent: { host: '198.18.0.21', port: 7401 },
      via: addresses,
      weight: 0,
    });
    const via = [{ host: '198.18.0.1', family: 4 }] as const;
    expect(backendOf(srv, { ...services, via }).via).toEqual(via);
  });
});

describe('pools with what was discovered', () => {
  const usable = (): undefined => undefined;
  const [one, two] = [member('198.18.0.21'), member('198.18.0.22')];

  test('have it in the place of nothing; others stay as they are', () => {
    const before = configOf({
      web: {},
      old: { backends: [listed('b9', '198.18.0.29')], discovery: undefined as never },
    });
    const { config, leftOut } = withDiscovered(before, (pool) => (pool === 'web' ? [one, two] : []), usable);
    expect(namesIn(config)).toEqual([['198.18.0.21', '198.18.0.22'], ['b9']]);
    expect(config.pools[1]).toBe(before.pools[1]);
    expect(leftOut).toEqual([]);
  });

  test('lack those against which there is an objection', () => {
    const objection = ({ name }: BackendConfig) => (name === one.name ? 'not on-link' : undefined);
    const { config, leftOut } = withDiscovered(configOf({ web: {} }), () => [one, two], objection);
    expect(namesIn(config)).toEqual([['198.18.0.22']]);
    expect(leftOut).toEqual([{ pool: 'web', backend: '198.18.0.21', cause: 'not on-link' }]);
  });

  test('may share a backend', () => {
    const { config, leftOut } = withDiscovered(configOf({ web: {}, api: {} }), () => [one], usable);
    expect(namesIn(config)).toEqual([['198.18.0.21'], ['198.18.0.21']]);
    expect(leftOut).toEqual([]);
  });

  test('have one agent for a name, and one name for an agent; listed ones come first', () => {
    const pools = {
      web: {},
      api: { discovery: { ...DISCOVERY, port: 7500 } },
      old: { backends: [listed('b2', '198.18.0.22')], discovery: undefined as never },
    };
    const { config, leftOut } = withDiscovered(configOf(pools), () => [one, two], usable);
    expect(namesIn(config)).toEqual([['198.18.0.21'], ['198.18.0.22'], ['b2']]);
    expect(leftOut).toEqual([
      {
        pool: 'web',
        backend: '198.18.0.22',
        cause: 'the agent 198.18.0.22:7400 is the backend "b2" elsewhere',
      },
      {
        pool: 'api',
        backend: '198.18.0.21',
        cause: 'backend "198.18.0.21" has the agent 198.18.0.21:7400 elsewhere',
      },
    ]);
  });
});
