/** What a backend gets: by its connections, its limit, while it drains, and when it has just come up. */
import type { Explanation } from '../../src/front/explanation';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { adoptedBy, holdAdopted, type Holders } from './exhaustion/holders';
import { APP, curl, placesOf, report } from './support';

const NODES = ['b1', 'b2', 'b3'];
const SLOW_START_S = 5;

interface BackendStatus {
  readonly name: string;
  readonly state: string;
  readonly flows: number;
  readonly connections: number;
  readonly drained?: boolean;
}

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: APP,
    backends: 3,
    clientAddresses: 20,
    agent: () => ({ sticky_cookie: 'at' }),
  });
}, 60_000);

afterAll(() => cluster.destroy());

/** Reloads the front with these backends, which may have keys of their own. */
async function usePool(keys: Settings, backends: Readonly<Record<string, Settings>>): Promise<void> {
  const entries = Object.entries(backends).map(([name, own]) => ({
    ...cluster.backend(Number(name.slice(1))),
    ...own,
  }));
  // An agent that stands still for a moment shall not lose a connection to another one.
  const timeouts = { linger: '500ms', prepare: '20s' };
  cluster.writeFrontConfig({ timeouts, pools: { web: { ...keys, backends: entries } } });
  expect(await cluster.frontPost('/v1/reload')).toEqual({ status: 200, body: { status: 'reloaded' } });
}

const ALL = { b1: {}, b2: {}, b3: {} };

const hold = (count: number): Promise<Holders> => holdAdopted(cluster, { count, parallel: 8 });

/** Closes them, all of which must have stayed. */
async function release(...held: readonly Holders[]): Promise<void> {
  for (const each of held) expect(await each.stop()).toMatchObject({ failed: 0, reset: 0, closed: 0 });
  await cluster.until('no connection', async () => (await connections()).every((count) => count === 0));
}

const connections = (): Promise<number[]> => adoptedBy(cluster);

async function statusOf(name: string): Promise<BackendStatus> {
  const { backends } = await cluster.frontApi<{ backends: BackendStatus[] }>('/v1/backends');
  return backends.find((each) => each.name === name) as BackendStatus;
}

/** How many of as many connections, one after the other, each node got. */
async function sharesOf(count: number): Promise<number[]> {
  const places = await placesOf(cluster, count);
  return NODES.map((node) => places.filter((place) => place === node).length);
}

test('least-connections fills up what has fewer, and max_connections ends it', async () => {
  await usePool({}, { b1: {} });
  const first = await hold(30);
  await usePool({ balance: 'least-connections' }, ALL);
  const second = await hold(60);
  expect(await connections()).toEqual([30, 30, 30]);

  const limit = { max_connections: 32 };
  await usePool({ balance: 'random-two' }, { b1: limit, b2: limit, b3: limit });
  const third = await hold(6);
  expect(await connections()).toEqual([32, 32, 32]);
  const refused = await curl(cluster.client, ['-i', `http://${VIP4}/who`]);
  expect(refused).toMatch(/^HTTP\/1\.1 503 /);
  expect(refused).toMatch(/^retry-after: 1\r$/im);
  expect(await cluster.frontMetric('baton_fallbacks_total', { reason: 'backends_full' })).toBe(1);

  await release(first, second, third);
  await cluster.until('room', async () =>
    /^HTTP\/1\.1 200 /.test(await curl(cluster.client, ['-i', `http://${VIP4}/who`])),
  );
  report('least-connections: 30 + 60 connections on three backends: 30 each; 503 at the 97th of 3 x 32');
}, 120_000);

test('random-two keeps backends about as full as each other', async () => {
  await usePool({ balance: 'random-two' }, ALL);
  const held = await hold(150);
  const counts = await connections();
  report(`random-two: 150 connections on three backends: ${counts.join(', ')}`);
  for (const count of counts) expect(Math.abs(count - 50)).toBeLessThan(10);
  await release(held);
}, 60_000);

test('a backend that drains keeps its connections and gets no more, through a reload and a restart', async () => {
  await usePool({}, ALL);
  const held = await hold(9);
  expect(await cluster.frontPost('/v1/backends/web/b2/drain')).toMatchObject({
    status: 200,
    body: { state: 'draining', drained: false },
  });
  // The table is counted once a second.
  await cluster.until('its flows', async () => (await statusOf('b2')).flows === 3);
  expect(await sharesOf(30)).toEqual([15, 0, 15]);
  const { outcome, pools } = await cluster.frontApi<Explanation>('/v1/explain?host=a&path=/who&header=X-A:1');
  expect([outcome, pools[0]?.backends.map(({ candidate }) => candidate)]).toEqual([
    'goes to pool web',
    [true, false, true],
  ]);
  await usePool({}, ALL);
  expect(await sharesOf(30)).toEqual([15, 0, 15]);
  await (
    await cluster.restartFront()
  ).exited;
  expect(await sharesOf(30)).toEqual([15, 0, 15]);
  expect(await connections()).toEqual([3, 3, 3]);
  expect(await cluster.frontMetric('baton_backend_state', { backend: 'b2', state: 'draining' })).toBe(1);

  await release(held);
  await cluster.front.waitForLine('backend is drained', 10_000);
  expect(await statusOf('b2')).toMatchObject({ state: 'draining', flows: 0, drained: true });
  expect(await cluster.frontPost('/v1/backends/web/b2/ready')).toMatchObject({ body: { state: 'up' } });
  expect(await sharesOf(30)).toEqual([10, 10, 10]);
}, 120_000);

test('a backend drains whose agent was told to, at every front', async () => {
  await usePool({}, ALL);
  expect(await cluster.agentPost(3, '/v1/drain')).toEqual({
    status: 200,
    body: { draining: true, connections: 0 },
  });
  await cluster.until('b3 draining', async () => (await statusOf('b3')).state === 'draining');
  expect(await sharesOf(30)).toEqual([15, 15, 0]);
  await cluster.agentPost(3, '/v1/ready');
  await cluster.until('b3 up', async () => (await statusOf('b3')).state === 'up');
  expect(await sharesOf(30)).toEqual([10, 10, 10]);
}, 60_000);

test('a session stays with its backend by the cookie of the agent', async () => {
  await usePool({ sticky: 'cookie:at' }, ALL);
  const jar = `${cluster.lab.dir}/cookies`;
  const place = async (): Promise<string> =>
    (JSON.parse(await curl(cluster.client, ['-b', jar, '-c', jar, `http://${VIP4}/who`])) as { node: string })
      .node;
  const first = await place();
  const places = new Set<string>();
  for (let k = 0; k < 5; k++) places.add(await place());
  expect(places).toEqual(new Set([first]));
  await cluster.frontPost(`/v1/backends/web/${first}/drain`);
  const second = await place();
  expect(second).not.toBe(first);
  await cluster.frontPost(`/v1/backends/web/${first}/ready`);
  // It is a session of the second one now.
  expect([await place(), await place()]).toEqual([second, second]);
  // Who has no cookie takes a turn, wherever the turns stand.
  for (const share of await sharesOf(30)) expect(Math.abs(share - 10)).toBeLessThanOrEqual(1);
}, 60_000);

test('a backend that is slow is ejected, and `baton explain` says where its requests go', async () => {
  const outliers = { window: '2s', min_responses: 5, latency: '200ms', eject: '60s' };
  cluster.writeFrontConfig({
    routes: [{ match: { path: '/slow' }, pool: 'slow' }, { pool: 'web' }],
    pools: {
      slow: { backends: [cluster.backend(2)] },
      web: { outliers, backends: [1, 2, 3].map((k) => cluster.backend(k)) },
    },
  });
  expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
  const cli = [
    process.execPath,
    `${__dirname}/../../dist/cli.js`,
    'explain',
    '--path',
    '/slow',
    '--host',
    'a',
  ];
  const { code, stdout } = await cluster.frontHost.run([...cli, '--config', cluster.frontConfigFile]);
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/routes\[0\] matches: [^]*\ngoes to pool slow\n/),
  ]);

  const label = { pool: 'web', backend: 'b2' };
  const ejections = (): Promise<number> =>
    cluster.frontMetric('baton_ejections_total', { ...label, cause: 'latency' });
  await cluster.until('its ejection', async () => {
    await Promise.all([1, 2, 3].map(() => curl(cluster.client, [`http://${VIP4}/slow?ms=400`])));
    return (await ejections()) === 1;
  });
  expect(await cluster.frontMetric('baton_backend_state', { ...label, state: 'ejected' })).toBe(1);
  expect(await sharesOf(30)).toEqual([15, 0, 15]);
}, 60_000);

test.each(['web/b9', 'other/b1'])('%s cannot drain', async (which) => {
  const [pool = '', name = ''] = which.split('/');
  expect(await cluster.frontPost(`/v1/backends/${which}/drain`)).toEqual({
    status: 404,
    body: { error: `there is no backend "${name}" in a pool "${pool}"` },
  });
});

test('a backend that comes back gets its share little by little', async () => {
  await usePool({}, { b1: {}, b2: { slow_start: `${SLOW_START_S}s` }, b3: {} });
  expect(await sharesOf(30)).toEqual([10, 10, 10]);
  await cluster.agents[1]?.stop();
  await cluster.untilDown('b2');
  await cluster.startAgent(2);
  await cluster.until('slow start', async () => (await statusOf('b2')).state === 'slow-start');
  const shares: number[] = [];
  while ((await statusOf('b2')).state === 'slow-start') shares.push((await sharesOf(60))[1] ?? NaN);
  const percent = shares.map((share) => `${Math.round((100 * share) / 60)} %`).join(', ');
  report(`slow start of ${SLOW_START_S} s: of 60 connections at a time b2 got ${percent}, then a third`);
  expect(shares.length).toBeGreaterThan(2);
  expect(shares[0]).toBeLessThan(12);
  // The first ones may come before the threads have their channels.
  for (const [index, share] of shares.entries()) expect(share).toBeGreaterThanOrEqual(shares[index - 1] ?? 0);
  expect(shares.at(-1)).toBeGreaterThan(shares[0] ?? NaN);
  expect(await sharesOf(30)).toEqual([10, 10, 10]);
  await cluster.front.waitForLine(/"state":"up".*"before":"slow-start"/, 1000);
}, 60_000);
