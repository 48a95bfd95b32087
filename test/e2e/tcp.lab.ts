/** Listeners without heads: echo services behind a front, with whoever speaks first. */
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { APP, countsOf, curl, expectHandedOff, report, runClient } from './support';

const [GREETED, SILENT, UNSERVED, NOWHERE, DENIED, LIMITED] = [7001, 7002, 7003, 7004, 7005, 7006];
const PORTS = { greeted: GREETED, silent: SILENT, unserved: UNSERVED, nowhere: NOWHERE, denied: DENIED };
const MOST_CONNECTIONS = 3;
const CROWD = 200;
const START_MS = 60_000;
const SERVICE = join(__dirname, 'tcp-service.mjs');

jest.setTimeout(START_MS);

/** What clients/talk.mjs tells of a connection. */
interface Talk {
  readonly port: number;
  readonly heard: readonly string[];
  readonly ended: string;
}

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: APP,
    backends: 3,
    // b1 serves all there is, b2 connections without a head alone, and b3 HTTP alone.
    agent: (k, { lab }) => {
      const app = { app: APP, listen: `${lab.host(`b${k}`).address4}:8080` };
      return { serve: k === 1 ? { ...app, tcp: SERVICE } : k === 2 ? { tcp: SERVICE } : app };
    },
    front: (self) => ({
      listeners: [
        { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
        { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
        ...Object.entries(PORTS).flatMap(([name, port]) => [
          { name, bind: `${VIP4}:${port}`, protocol: 'tcp' },
          { name: `${name}6`, bind: `[${VIP6}]:${port}`, protocol: 'tcp' },
        ]),
        {
          name: 'limited',
          bind: `${VIP4}:${LIMITED}`,
          protocol: 'tcp',
          limits: { connections: MOST_CONNECTIONS },
        },
      ],
      routes: [
        { match: { listener: ['unserved', 'unserved6'] }, pool: 'unserved' },
        { match: { listener: ['nowhere', 'nowhere6'] }, pool: 'nowhere' },
        { match: { listener: ['denied', 'denied6'] }, deny: {} },
        { match: { not: { listener: ['web', 'web6'] } }, pool: 'tcp' },
        { match: { path: '/only' }, pool: 'only-tcp' },
        { pool: 'web' },
      ],
      pools: {
        web: { backends: [self.backend(1), self.backend(3)] },
        tcp: { fallback: 'refuse', backends: [self.backend(1), self.backend(2)] },
        'only-tcp': { fallback: 'refuse', backends: [self.backend(2)] },
        unserved: { backends: [self.backend(3)] },
        nowhere: { backends: [{ ...self.backend(1), weight: 0 }] },
      },
    }),
  });
});

afterAll(() => cluster.destroy());

const talk = (port: number, options: object = {}, address = VIP4): Promise<Talk[]> =>
  runClient<Talk[]>(cluster.client, 'talk.mjs', { address, port, ...options });

/** Conversations that wait at their gate when this resolves; `goOn` lets them, and tells what was heard in all. */
async function begin(port: number, options: object): Promise<{ goOn(): Promise<Talk[]> }> {
  const file = join(__dirname, 'clients', 'talk.mjs');
  const argv = [process.execPath, file, JSON.stringify({ address: VIP4, port, ...options })];
  const talking = cluster.client.spawn(argv, { stdio: 'pipe' });
  await talking.waitForLine('talking', START_MS);
  return {
    goOn: async () => {
      talking.endInput();
      const line = await talking.waitForLine('"heard"', START_MS);
      return JSON.parse(line) as Talk[];
    },
  };
}

const agentConnections = async (): Promise<number> =>
  (await cluster.agentMetric(1, 'baton_agent_connections')) +
  (await cluster.agentMetric(2, 'baton_agent_connections'));

describe.each([
  ['IPv4', VIP4, ''],
  ['IPv6', VIP6, '6'],
])('over %s', (_family, vip, suffix) => {
  const own = (): string => (suffix === '' ? cluster.client.address4 : cluster.client.address6);
  const accepted = (name: string): Promise<number> =>
    cluster.frontMetric('baton_connections_accepted_total', { listener: `${name}${suffix}` });

  test('the client speaks first', async () => {
    const before = await countsOf(cluster);
    const acceptedBefore = await accepted('silent');
    const [told] = await talk(SILENT, { lines: ['a', 'b', 'c'] }, vip);
    expect(told).toMatchObject({ heard: ['a', 'b', 'c'], ended: 'end' });
    await expectHandedOff(cluster, before, 1);
    expect(await accepted('silent')).toBe(acceptedBefore + 1);
  });

  test('the server speaks first, to the client itself', async () => {
    const before = await countsOf(cluster);
    const nodes = new Set<string>();
    for (let k = 0; k < 4; k++) {
      const [told] = await talk(GREETED, { greeted: true, lines: ['a'] }, vip);
      const [banner = '', ...others] = told?.heard ?? [];
      const { node, ...seen } = JSON.parse(banner) as { node: string };
      const port = told?.port ?? 0;
      expect(seen).toEqual({
        client: { address: own(), port },
        vip: { address: vip, port: GREETED },
        remote: own(),
        remotePort: port,
      });
      expect([others, told?.ended]).toEqual([['a'], 'end']);
      nodes.add(node);
    }
    expect(nodes).toEqual(new Set(['b1', 'b2']));
    await expectHandedOff(cluster, before, 4);
  });

  test('a client that has said all still gets its answer', async () => {
    const [told] = await talk(SILENT, { lines: ['a'], halfClose: 'and this' }, vip);
    expect(told).toMatchObject({ heard: ['a', 'and this'], ended: 'end' });
  });

  test('what nobody serves is reset, and counted', async () => {
    const counts = async (): Promise<Record<string, number>> => ({
      rejected: await cluster.frontMetric('baton_handoffs_total', { pool: 'unserved', result: 'rejected' }),
      adoptions: await cluster.agentMetric(3, 'baton_agent_adoptions_total', { result: 'rejected' }),
      refused: await cluster.frontMetric('baton_fallbacks_total', { reason: 'all_refused' }),
      nobody: await cluster.frontMetric('baton_fallbacks_total', { reason: 'no_backend' }),
      denied: await cluster.frontMetric('baton_responses_total', { action: 'deny', code: '0' }),
      relayed: (await countsOf(cluster)).relayedBytes,
    });
    const before = await counts();
    for (const port of [UNSERVED, NOWHERE, DENIED]) {
      const [told] = await talk(port, { greeted: true }, vip);
      expect(told).toMatchObject({ heard: [], ended: 'ECONNRESET' });
    }
    expect(await counts()).toEqual({
      rejected: (before.rejected ?? 0) + 1,
      adoptions: (before.adoptions ?? 0) + 1,
      refused: (before.refused ?? 0) + 1,
      nobody: (before.nobody ?? 0) + 1,
      denied: (before.denied ?? 0) + 1,
      relayed: 0,
    });
  });
});

test('HTTP beside it goes where there is a server, and not where there is none', async () => {
  expect(await curl(cluster.client, [`http://${VIP4}/who`])).toContain('b');
  const rejected = await cluster.agentMetric(2, 'baton_agent_adoptions_total', { result: 'rejected' });
  const answer = await curl(cluster.client, ['-i', `http://${VIP4}/only`]);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(await cluster.agentMetric(2, 'baton_agent_adoptions_total', { result: 'rejected' })).toBe(
    rejected + 1,
  );
});

test(`${CROWD} at once`, async () => {
  const before = await countsOf(cluster);
  const lines = Array.from({ length: 10 }, (_, k) => `line ${k}`);
  const began = performance.now();
  const crowd = await begin(GREETED, { count: CROWD, greeted: true, lines, gate: 5 });
  expect(await agentConnections()).toBe(CROWD);
  const told = await crowd.goOn();
  report(`tcp: ${CROWD} connections greeted, 10 lines each, in ${Math.round(performance.now() - began)} ms`);
  expect(told.map(({ heard, ended }) => [heard.slice(1), ended])).toEqual(Array(CROWD).fill([lines, 'end']));
  await expectHandedOff(cluster, before, CROWD);
  await cluster.until('the end of all', async () => (await agentConnections()) === 0);
  await cluster.until(
    'an empty table',
    async () => (await cluster.frontApi<{ flows: { live: number } }>('/v1/status')).flows.live === 0,
  );
});

test('a later request is of the listener that its connection came to', async () => {
  const request = 'GET /who HTTP/1.1\r\nHost: a\r\n';
  const both = `${request}\r\n${request}Connection: close\r\n\r`;
  const [told] = await talk(80, { halfClose: both });
  expect(told?.heard.join('\n').match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
});

test('beyond the limit of a listener connections are reset', async () => {
  const held = await begin(LIMITED, { count: MOST_CONNECTIONS, lines: ['a', 'b'], gate: 1 });
  const [told] = await talk(LIMITED, { greeted: true });
  expect(told?.ended).toBe('ECONNRESET');
  expect(await cluster.frontMetric('baton_heads_refused_total', { reason: 'listener_connections' })).toBe(1);
  expect((await held.goOn()).map(({ heard }) => heard)).toEqual(Array(MOST_CONNECTIONS).fill(['a', 'b']));
});

test('connections go on when the front is killed, and with the next one', async () => {
  const options = { count: 20, greeted: true, lines: ['a', 'b', 'c'], gate: 1 };
  const [one, other] = [await begin(GREETED, options), await begin(GREETED, options)];
  cluster.front.kill('SIGKILL');
  await cluster.front.exited;
  const expected = Array(20).fill([['a', 'b', 'c'], 'end']);
  const results = (told: Talk[]): unknown[] => told.map(({ heard, ended }) => [heard.slice(1), ended]);
  expect(results(await one.goOn())).toEqual(expected);
  await cluster.startFront();
  await cluster.allUp();
  expect(results(await other.goOn())).toEqual(expected);
  expect((await talk(SILENT, { lines: ['a'] }))[0]?.heard).toEqual(['a']);
});

test('stopping agents let them go on, and end them behind what is written', async () => {
  const agents = cluster.agents.slice(0, 2);
  await cluster.until('the end of those before', async () => (await agentConnections()) === 0);
  const held = await begin(SILENT, { count: 8, lines: ['a', 'b'], gate: 1, linger: true });
  expect(await agentConnections()).toBe(8);
  for (const agent of agents) agent.kill('SIGTERM');
  await cluster.until('that both stop', async () => {
    const states = await Promise.all(
      [1, 2].map((k) => cluster.agentApi<{ serving: boolean }>(k, '/v1/status')),
    );
    return states.every(({ serving }) => !serving);
  });
  const told = await held.goOn();
  expect(told.map(({ heard, ended }) => [heard, ended])).toEqual(Array(8).fill([['a', 'b'], 'end']));
  for (const agent of agents) expect(await agent.exited).toEqual({ code: 0, signal: null });
});
