/** Every way to serve adopted connections, with the same questions; and what happens where there is no agent. */
import { join } from 'node:path';
import { Cluster, type Settings } from '../../src/lab/cluster';
import type { LabProcess } from '../../src/lab/lab-process';
import { planHosts, VIP4, VIP6 } from '../../src/lab/topology';
import { ask, expectEchoes, expectRightSum } from './questions';
import { APP, countsOf, curl, expectHandedOff, quietFds, type Counts } from './support';

const START_MS = 15_000;
const TIMEOUT_MS = 40_000;

/** Where connections stay with the backend that their first request chose. */
const KEPT_PORT = 81;

/** Every host is a pool of its own, so connections carry one request each unless the listener says otherwise. */
const LISTENERS = [
  { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
  { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
  { name: 'kept', bind: `${VIP4}:${KEPT_PORT}`, protocol: 'http', routing: 'per-connection' },
];

/** A pool of backend `k` alone; the lab's addresses are known before it stands. */
function pool(k: number, fallback: string): Settings {
  const host = planHosts({ backends: 4 }).find(({ name }) => name === `b${k}`);
  if (host === undefined) throw new RangeError(`no backend ${k}`);
  const [address4] = host.addresses4;
  const backend = {
    name: host.name,
    agent: `${address4}:7400`,
    via: [address4, host.address6],
    http: `${address4}:8080`,
  };
  return { fallback, backends: [backend] };
}

/** Routes host NAME.test to the pool of that name. */
function routes(names: readonly string[]): Settings[] {
  return names.map((name) => ({ match: { host: `${name}.test` }, pool: name }));
}

/** Starts the application as an ordinary server on a backend host. */
async function startPlainService(cluster: Cluster, k: number, host: string, port: number): Promise<void> {
  const argv = [process.execPath, join(__dirname, 'plain-service.mjs'), host, `${port}`];
  const service = cluster.lab.host(`b${k}`).spawn(argv, { env: { BATON_NODE: `b${k}` } });
  await service.waitForLine('listening', START_MS);
}

describe('an adopted connection', () => {
  let cluster: Cluster;
  let library: LabProcess;
  let before: Counts;

  beforeAll(async () => {
    const names = ['upstream', 'app', 'fastify', 'library'];
    const serve: Record<number, Settings> = {
      1: { upstream: 'http://127.0.0.1:8081' },
      2: { app: join(__dirname, 'echo-server.mjs') },
      3: { app: join(__dirname, 'fastify-app.mjs') },
    };
    cluster = await Cluster.start({
      app: APP,
      backends: 4,
      front: {
        listeners: LISTENERS,
        routes: routes(names),
        pools: Object.fromEntries(names.map((name, index) => [name, pool(index + 1, 'proxy')])),
      },
      agent: (k) => (serve[k] === undefined ? {} : { serve: serve[k] }),
    });
    await startPlainService(cluster, 1, '127.0.0.1', 8081);
    library = await replaceByLibrary(4);
  }, TIMEOUT_MS);

  afterAll(() => cluster.destroy());

  beforeEach(async () => {
    before = await countsOf(cluster);
  });

  /** Puts a service that is its own agent into the place of the agent of backend `k`. */
  async function replaceByLibrary(k: number): Promise<LabProcess> {
    await cluster.agents[k - 1]?.stop();
    const host = cluster.lab.host(`b${k}`);
    const config = {
      node: host.name,
      control: { listen: `${host.address4}:7400`, insecure: true },
      vips: [VIP4, VIP6],
      manage_vips: true,
      admin: { listen: '127.0.0.1:9181' },
    };
    const argv = [process.execPath, join(__dirname, 'library-service.mjs'), JSON.stringify(config)];
    const service = host.spawn(argv, { env: { BATON_NODE: host.name } });
    cluster.agents[k - 1] = service;
    await service.waitForLine('agent is serving', START_MS);
    await cluster.allUp();
    return service;
  }

  describe.each([
    { serves: 'an upstream', host: 'upstream.test', node: 'b1', relayed: true },
    { serves: 'an http.Server as app', host: 'app.test', node: 'b2', relayed: false },
    { serves: 'a Fastify instance as app', host: 'fastify.test', node: 'b3', relayed: false },
    { serves: 'a service by the library', host: 'library.test', node: 'b4', relayed: false },
  ])('served by $serves', ({ host, node, relayed }) => {
    test.each(['vip4', 'vip6'] as const)('knows its client, %s', async (vip) => {
      const address = vip === 'vip4' ? cluster.client.address4 : cluster.client.address6;
      const [who] = await ask(cluster, host, ['/who?x=1'], cluster.lab[vip]);
      expect(who).toMatchObject({ node, path: '/who?x=1', headers: { host } });
      expect(relayed ? who?.headers['x-forwarded-for'] : who?.client).toBe(address);
      await expectHandedOff(cluster, before, 1);
    });

    test('serves many requests, judged or not', async () => {
      const paths = ['/who?1', '/who?2', '/who?3', '/who?4'];
      expect((await ask(cluster, host, paths)).map(({ path }) => path)).toEqual(paths);
      await expectHandedOff(cluster, before, 1);
      const answers = await ask(cluster, host, paths, VIP4, KEPT_PORT);
      expect(answers.map(({ path }) => path)).toEqual(paths);
      // One port: to an application the client's, behind an upstream adapter that of a connection used again.
      expect(new Set(answers.map(({ port }) => port)).size).toBe(1);
      await expectHandedOff(cluster, before, 2);
    });

    test.each([
      { how: 'of known length', args: (file: string) => ['--data-binary', `@${file}`] },
      // A length that curl is told not to mention: it sends chunks then, as it does from a pipe.
      { how: 'in chunks', args: (file: string) => ['-H', 'Transfer-Encoding: chunked', '-T', file] },
      { how: 'without asking first', args: (file: string) => ['-H', 'Expect:', '--data-binary', `@${file}`] },
    ])(
      'takes an upload $how',
      async ({ args }) => {
        await expectRightSum(cluster, host, args);
        await expectHandedOff(cluster, before, 1);
      },
      TIMEOUT_MS,
    );

    test(
      'becomes a WebSocket',
      async () => {
        const { first } = await expectEchoes(cluster, host);
        expect(first).toMatchObject({ node, headers: { host } });
        expect(relayed ? first.headers['x-forwarded-for'] : first.client).toBe(cluster.client.address4);
        await expectHandedOff(cluster, before, 1);
      },
      TIMEOUT_MS,
    );
  });

  test('leaves no connection and no flow behind', async () => {
    await expect(quietFds(cluster)).resolves.toHaveLength(5);
  });

  test('does not keep a service from ending that is its own agent', async () => {
    library.kill('SIGTERM');
    expect(await library.exited).toEqual({ code: 0, signal: null });
  });
});

describe('a connection without an agent', () => {
  let cluster: Cluster;
  let before: Counts;

  beforeAll(async () => {
    cluster = await Cluster.start({
      app: APP,
      front: {
        routes: routes(['proxy', 'refuse']),
        pools: { proxy: pool(1, 'proxy'), refuse: pool(2, 'refuse') },
      },
    });
    await Promise.all(cluster.agents.map((agent) => agent.stop()));
    cluster.agents.length = 0;
    for (const k of [1, 2]) await startPlainService(cluster, k, cluster.lab.host(`b${k}`).address4, 8080);
    await cluster.until('all backends down', async () => {
      const { backends } = await cluster.frontApi<{ backends: { state: string }[] }>('/v1/backends');
      return backends.every(({ state }) => state === 'down');
    });
  }, TIMEOUT_MS);

  afterAll(() => cluster.destroy());

  beforeEach(async () => {
    before = await countsOf(cluster);
  });

  /** One connection fell back because no backend takes handoffs. */
  async function expectFallback(): Promise<void> {
    expect(await cluster.frontMetric('baton_fallbacks_total', { reason: 'no_backend' })).toBe(
      before.fallbacks + 1,
    );
    expect((await countsOf(cluster)).handedOff).toBe(0);
  }

  test('is relayed', async () => {
    const [who, again] = await ask(cluster, 'proxy.test', ['/who', '/who?again']);
    const headers = { host: 'proxy.test', 'x-forwarded-for': cluster.client.address4 };
    expect(who).toMatchObject({ node: 'b1', client: cluster.frontHost.address4, path: '/who', headers });
    expect(again).toMatchObject({ node: 'b1', path: '/who?again', headers });
    await expectFallback();
    expect((await countsOf(cluster)).relayedBytes).toBeGreaterThan(before.relayedBytes);
  });

  test('is relayed with its body', async () => {
    await expectRightSum(cluster, 'proxy.test', (file) => ['--data-binary', `@${file}`]);
    await expectFallback();
  });

  test(
    'becomes a WebSocket',
    async () => {
      const { first } = await expectEchoes(cluster, 'proxy.test');
      const headers = { host: 'proxy.test', 'x-forwarded-for': cluster.client.address4 };
      expect(first).toMatchObject({ node: 'b1', headers });
      await expectFallback();
    },
    TIMEOUT_MS,
  );

  test('is refused with 503 where the pool says so', async () => {
    const url = ['--resolve', `refuse.test:80:${VIP4}`, 'http://refuse.test/who'];
    const answer = await curl(cluster.client, ['-i', ...url]);
    expect(answer).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    expect(answer).toMatch(/^Retry-After: \d+\r$/m);
    await expectFallback();
    expect((await countsOf(cluster)).relayedBytes).toBe(before.relayedBytes);
  });

  test('leaves nothing behind', async () => {
    await expect(quietFds(cluster)).resolves.toHaveLength(1);
  });
});
