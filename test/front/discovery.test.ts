import type { FrontConfig } from '../../src/config/model';
import { parseFrontConfig } from '../../src/config/load';
import { changesBetween, Discovery, type KnownMembers } from '../../src/front/discovery';
import { silentLogger } from '../../src/observe/log';
import type { NextHops } from '../../src/steer/next-hops';
import { FRONT, configOf } from '../config/texts';
import { DnsServer, type ZoneEntry } from '../lab/dns-server';

let server: DnsServer;
beforeAll(async () => {
  server = await DnsServer.start();
});
afterAll(() => server.stop());

let discoveries: Discovery[] = [];
afterEach(() => {
  for (const each of discoveries) each.stop();
  discoveries = [];
});

/** What `ip` would say: 198.18.0.99 is not on the link. */
const HOPS = {
  ask: () => undefined,
  objection: (via: string) => (via === '198.18.0.99' ? 'not on-link' : undefined),
} as unknown as NextHops;

function discovery(bequest?: KnownMembers[], resolved: () => void = () => undefined): Discovery {
  const made = new Discovery(silentLogger(), resolved, bequest);
  discoveries.push(made);
  return made;
}

const addresses = (...data: string[]): ZoneEntry => ({ ttl: 1, data });

/** A front with a pool for each name. */
function configWith(...names: string[]): FrontConfig {
  const pools = names
    .map((name) => {
      const keys = `dns: ${name}.internal, port: 7400, resolver: "127.0.0.1:${server.port}", min_interval: 100ms`;
      return `  ${name}:\n    backends: { ${keys} }\n`;
    })
    .join('');
  const text = FRONT.replace(/pools:\n( {2}.*\n)+/, `pools:\n${pools}`).replace(
    'pool: web',
    `pool: ${names[0] ?? ''}`,
  );
  return configOf(parseFrontConfig(text, '/etc/front.yaml'));
}

const namesIn = (config: FrontConfig): string[][] =>
  config.pools.map(({ backends }) => backends.map(({ name }) => name));

test('a start waits for first answers, and those that cannot be used are left out', async () => {
  await server.set({ 'web.internal/A': addresses('198.18.0.21', '198.18.0.99') });
  const started = discovery();
  const config = configWith('web');
  await started.prepare(config);
  started.commit();
  expect(namesIn(started.fill(config, HOPS))).toEqual([['198.18.0.21']]);
  expect(started.samples()).toEqual(
    ['ok', 'failed', 'empty'].map((result) => ({
      name: 'discovery_total',
      labels: { pool: 'web', result },
      value: result === 'ok' ? 1 : 0,
    })),
  );
});

test('a name server that is silent is not waited for, and its pool is empty', async () => {
  await server.set({ 'web.internal/A': 'silence' });
  const started = discovery();
  const begun = performance.now();
  await started.prepare(configWith('web'));
  expect(performance.now() - begun).toBeLessThan(2000);
  expect(namesIn(started.fill(configWith('web'), HOPS))).toEqual([[]]);
});

test('a reload has what is known at once, and asks anew', async () => {
  await server.set({ 'web.internal/A': addresses('198.18.0.21') });
  const resolutions: string[][] = [];
  const config = configWith('web');
  let seen: () => void = () => undefined;
  const started = discovery(undefined, () => {
    resolutions.push(...namesIn(started.fill(config, HOPS)));
    seen();
  });
  await started.prepare(config);
  started.commit();

  await server.set({ 'web.internal/A': 'silence' });
  await started.prepare(config);
  started.commit();
  expect(namesIn(started.fill(config, HOPS))).toEqual([['198.18.0.21']]);

  await server.set({ 'web.internal/A': addresses('198.18.0.22') });
  const again = new Promise<void>((resolve) => (seen = resolve));
  await started.prepare(config);
  started.commit();
  await again;
  expect(resolutions.at(-1)).toEqual(['198.18.0.22']);
});

test('a reload that fails leaves those that are asked for as they were', async () => {
  await server.set({
    'web.internal/A': addresses('198.18.0.21'),
    'api.internal/A': addresses('198.18.0.22'),
  });
  const started = discovery();
  await started.prepare(configWith('web'));
  started.commit();
  await started.prepare(configWith('api', 'web'));
  expect(namesIn(started.fill(configWith('api', 'web'), HOPS))).toEqual([['198.18.0.22'], ['198.18.0.21']]);
  started.abandon();
  expect(started.known.map(({ pool }) => pool)).toEqual(['web']);
  expect(namesIn(started.fill(configWith('web'), HOPS))).toEqual([['198.18.0.21']]);
});

test('a successor knows what the front before knew, of the same question to the same server', async () => {
  await server.set({ 'web.internal/A': addresses('198.18.0.21') });
  const before = discovery();
  await before.prepare(configWith('web'));
  before.commit();
  const bequest = JSON.parse(JSON.stringify(before.known)) as KnownMembers[];

  await server.set({ 'web.internal/A': 'SERVFAIL' });
  const successor = discovery(bequest);
  await successor.prepare(configWith('web'));
  expect(namesIn(successor.fill(configWith('web'), HOPS))).toEqual([['198.18.0.21']]);

  const [known] = bequest;
  if (known === undefined) throw new Error('nothing was left');
  const other = discovery([{ ...known, question: 'another' }]);
  await other.prepare(configWith('web'));
  expect(namesIn(other.fill(configWith('web'), HOPS))).toEqual([[]]);
});

test('what has changed is told by name', () => {
  const backend = (name: string, weight = 1) => ({
    name,
    agent: { host: '198.18.0.21', port: 7400, family: 4 as const },
    via: [{ host: '198.18.0.21', family: 4 as const }],
    weight,
  });
  const config = configWith('web', 'api');
  const withBackends = (...lists: ReturnType<typeof backend>[][]): FrontConfig => ({
    ...config,
    pools: config.pools.map((pool, index) => ({ ...pool, backends: lists[index] ?? [] })),
  });
  const before = withBackends([backend('a'), backend('b'), backend('c')], [backend('a')]);
  const after = withBackends([backend('b', 2), backend('c'), backend('d')], [backend('a')]);
  expect(changesBetween(before, after)).toEqual([
    { pool: 'web', added: ['d'], removed: ['a'], changed: ['b'] },
  ]);
  expect(changesBetween(after, after)).toEqual([]);
});
