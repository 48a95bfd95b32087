/** Backends by DNS: what comes and goes there comes and goes at the front, without a request that fails. */
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { DnsServer, type Zone } from '../lab/dns-server';
import { holdAdopted } from './exhaustion/holders';
import { wrk } from './http-bench';
import { APP, countsOf, curl, inUrl, placesOf, report } from './support';

const TTL_S = 1;
/** For a generation to start: half a second, and longer where other programs have the CPUs. */
const START_S = 3;
const LOAD_SECONDS = 8;

interface Backend {
  readonly name: string;
  readonly source: string;
  readonly state: string;
  readonly weight: number;
}

let cluster: Cluster;
let server: DnsServer;

const addressOf = (k: number): string => cluster.lab.host(`b${k}`).address4;
/** `api.internal` with the addresses of these backends. */
const addresses = (...ks: number[]): Zone => ({
  'api.internal/A': { ttl: TTL_S, data: ks.map(addressOf) },
});

function startServer(): Promise<DnsServer> {
  const { frontHost } = cluster;
  return DnsServer.start(frontHost.address4, 53, (argv, options) => frontHost.spawn(argv, options));
}

/** A front's configuration whose pool has these keys of discovery, and that listens on these VIPs. */
function poolWith(keys: Settings, ...vips: string[]): Settings {
  const resolver = `${cluster.frontHost.address4}:53`;
  return {
    listeners: vips.map((vip, k) => ({ name: `web${k}`, bind: `${inUrl(vip)}:80`, protocol: 'http' })),
    pools: { web: { backends: { resolver, min_interval: '200ms', max_interval: '2s', ...keys } } },
  };
}

async function backends(): Promise<readonly Backend[]> {
  return (await cluster.frontApi<{ backends: Backend[] }>('/v1/backends')).backends;
}

/** Waits until these backends are the pool's, all of them up. */
async function untilBackends(...names: string[]): Promise<void> {
  await cluster.until(`the backends ${names.join(', ')}`, async () => {
    const now = await backends();
    return (
      JSON.stringify(now.map(({ name }) => name)) === JSON.stringify(names) &&
      now.every(({ state }) => state === 'up')
    );
  });
}

/** How many of 30 connections, one after the other, each node got. */
async function shares(): Promise<Record<string, number>> {
  const places = await placesOf(cluster, 30);
  const counts: Record<string, number> = {};
  for (const place of places) counts[place] = (counts[place] ?? 0) + 1;
  return counts;
}

function discoveries(result: string): Promise<number> {
  return cluster.frontMetric('baton_discovery_total', { pool: 'web', result });
}

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, backends: 3 });
}, 60_000);

afterAll(() => cluster.destroy());

test('a front that starts without an answer is there, says so, and serves when there is one', async () => {
  await cluster.front.stop();
  cluster.writeFrontConfig(poolWith({ dns: 'api.internal', port: 7400, http_port: 8080 }, VIP4));
  await cluster.startFront();
  await cluster.front.waitForLine('no backends are known of this pool', 1000);
  const refused = await curl(cluster.client, ['-i', `http://${VIP4}/who`]);
  expect(refused).toMatch(/^HTTP\/1\.1 503 /);

  server = await startServer();
  await server.set(addresses(1, 2));
  await untilBackends(addressOf(1), addressOf(2));
  expect(await backends()).toMatchObject([{ source: 'dns' }, { source: 'dns' }]);
  expect(await shares()).toEqual({ b1: 15, b2: 15 });
  expect(await discoveries('failed')).toBeGreaterThan(0);
  expect(await discoveries('ok')).toBeGreaterThan(0);
}, 60_000);

/** The time until a backend that DNS has from now on gets a connection, one after the other. */
async function firstConnectionOf(k: number, ...ks: number[]): Promise<number> {
  await server.set(addresses(...ks, k));
  const begun = performance.now();
  await cluster.until(`a connection of b${k}`, async () => (await answeringNode()) === `b${k}`);
  return performance.now() - begun;
}

async function answeringNode(): Promise<string> {
  const { node } = JSON.parse(await curl(cluster.client, [`http://${VIP4}/who`])) as { node: string };
  return node;
}

test('a backend that is added gets connections when the TTL is over', async () => {
  const tookMs = await firstConnectionOf(3, 1, 2);
  report(`TTL of ${TTL_S} s: a new backend gets its first connection after ${tookMs.toFixed(0)} ms`);
  expect(tookMs).toBeLessThan((TTL_S + START_S) * 1000);
  await server.set(addresses(1, 2));
  await untilBackends(addressOf(1), addressOf(2));
}, 60_000);

test('backends come and go under load, and no request fails', async () => {
  const before = await countsOf(cluster);
  const url = `http://${VIP4}/who`;
  const load = wrk(cluster.client, { url, connections: 16, seconds: LOAD_SECONDS, close: true });
  await server.set(addresses(1, 2, 3));
  await untilBackends(addressOf(1), addressOf(2), addressOf(3));
  await server.set(addresses(2, 3));
  await untilBackends(addressOf(2), addressOf(3));
  await server.set(addresses(1, 2));
  await untilBackends(addressOf(1), addressOf(2));
  const { requests, failures } = await load;
  const after = await countsOf(cluster);
  report(`three changes under load: ${requests} requests, ${failures} failed`);
  expect(failures).toBe(0);
  expect(requests).toBeGreaterThan(500);
  expect(after.handedOff - before.handedOff).toBeGreaterThanOrEqual(requests);
  expect(await shares()).toEqual({ b1: 15, b2: 15 });
}, 60_000);

test('a backend that is removed keeps its connections and gets no more', async () => {
  const connectionsOf = (k: number): Promise<number> => cluster.agentMetric(k, 'baton_agent_connections');
  const open = async (): Promise<number> => (await connectionsOf(1)) + (await connectionsOf(2));
  await cluster.until('the end of the load', async () => (await open()) === 0);
  const held = await holdAdopted(cluster, { count: 4, parallel: 1 });
  expect(await connectionsOf(2)).toBe(2);

  await server.set(addresses(1));
  await untilBackends(addressOf(1));
  expect(await shares()).toEqual({ b1: 30 });
  expect(await connectionsOf(2)).toBe(2);
  expect(await held.stop()).toMatchObject({ opened: 4, failed: 0, reset: 0, closed: 0 });
}, 60_000);

test('a name server that is gone, wrong or silent changes nothing, nor do a reload and a restart meanwhile', async () => {
  await server.set(addresses(1, 2));
  await untilBackends(addressOf(1), addressOf(2));
  for (const [entry, result] of [
    [undefined, 'empty'],
    ['SERVFAIL', 'failed'],
    ['silence', 'failed'],
  ] as const) {
    const count = await discoveries(result);
    await server.set(entry === undefined ? {} : { 'api.internal/A': entry });
    await cluster.until(`a resolution that is ${result}`, async () => (await discoveries(result)) > count);
  }
  await server.stop();
  expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
  expect(await shares()).toEqual({ b1: 15, b2: 15 });
  await cluster.restartFront();
  expect(await shares()).toEqual({ b1: 15, b2: 15 });
  server = await startServer();
}, 60_000);

test('hostile records and addresses that are not on the link are left out, with a line', async () => {
  const data = ['0.0.0.0', '224.0.0.1', '127.0.0.1', VIP4, '203.0.113.9', addressOf(3)];
  await server.set({ 'api.internal/A': { ttl: TTL_S, data } });
  await untilBackends(addressOf(3));
  expect(await shares()).toEqual({ b3: 30 });
  const refused = await cluster.front.waitForLine('records that cannot be backends are left out', 1000);
  expect(refused).toMatch(/224\.0\.0\.1.*multicast/);
  for (const [address, cause] of [
    [VIP4, 'is an address of this host'],
    ['203.0.113.9', 'no route'],
  ] as const) {
    const left = (line: string): boolean => line.includes('left out') && line.includes(`"${address}"`);
    expect(await cluster.front.waitForLine(left, 1000)).toContain(cause);
  }
}, 60_000);

test('SRV records bring ports, weights and names, in both families', async () => {
  const names = ['b1.internal', 'b2.internal', 'b3.internal'];
  const [one = '', two = '', three = ''] = names;
  await server.set({
    '_baton._tcp.internal/SRV': {
      ttl: TTL_S,
      data: [
        [10, 4, 7400, one],
        [10, 1, 7400, two],
        [20, 1, 7400, three],
      ],
    },
    ...Object.fromEntries(
      names.flatMap((name, index) => {
        const { address4, address6 } = cluster.lab.host(`b${index + 1}`);
        return [
          [`${name}/A`, { ttl: TTL_S, data: [address4] }],
          [`${name}/AAAA`, { ttl: TTL_S, data: [address6] }],
        ];
      }),
    ),
  });
  cluster.writeFrontConfig(poolWith({ dns: '_baton._tcp.internal', http_port: 8080 }, VIP4, VIP6));
  expect(await cluster.frontPost('/v1/reload')).toEqual({ status: 200, body: { status: 'reloaded' } });
  await untilBackends(one, two);
  expect(await backends()).toMatchObject([{ weight: 4 }, { weight: 1 }]);
  expect(await shares()).toEqual({ b1: 24, b2: 6 });
  expect(await curl(cluster.client, [`http://[${VIP6}]/who`])).toMatch(/"b[12]"/);
}, 60_000);
