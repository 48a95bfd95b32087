import { writeFileSync } from 'node:fs';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { holdAdopted } from './exhaustion/holders';
import { wrk } from './http-bench';
import { APP, countsOf, curl, report } from './support';

const RELOADS = 100;
/** At a time. */
const LOAD_SECONDS = 4;
/** curl(1), "Failed to connect to host". */
const CURL_REFUSED = 7;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, front: {} });
}, 60_000);

afterAll(() => cluster.destroy());

async function reloads(result: 'ok' | 'failed'): Promise<number> {
  return cluster.frontMetric('baton_config_reloads_total', { result });
}

/** Sends SIGHUP and waits until it has had its effect. */
async function reload(result: 'ok' | 'failed'): Promise<void> {
  const before = await reloads(result);
  cluster.front.kill('SIGHUP');
  await cluster.until(`a reload that is ${result}`, async () => (await reloads(result)) === before + 1);
}

async function answeringNode(): Promise<string> {
  const { node } = JSON.parse(await curl(cluster.client, [`http://${VIP4}/who`])) as { node: string };
  return node;
}

/** What changes from one reload to the next, over and over. */
function variants(): Settings[] {
  const backend = (k: number, own: Settings = {}): Settings => ({ ...cluster.backend(k), ...own });
  const listener = (port: number): Settings => ({
    name: `web${port}`,
    bind: `${VIP4}:${port}`,
    protocol: 'http',
  });
  const both = [backend(1), backend(2)];
  const match = { path_prefix: '/other' };
  return [
    { pools: { web: { backends: [backend(1, { weight: 3 }), backend(2)] } } },
    { listeners: [listener(80), listener(81)] },
    { pools: { web: { balance: 'least-connections', backends: both } } },
    {
      routes: [{ match, pool: 'other' }, { pool: 'web' }],
      pools: { web: { backends: both }, other: { backends: both } },
    },
    { pools: { web: { backends: [backend(1)] } } },
    {},
  ];
}

test(`${RELOADS} reloads under load fail no request and lose no connection`, async () => {
  // An agent that stands still for a moment shall not lose a connection to another one.
  const common = { timeouts: { linger: '500ms', prepare: '20s' } };
  const held = await holdAdopted(cluster, { count: 20 });
  const before = await countsOf(cluster);
  const total = { requests: 0, failures: 0 };
  let reloaded = 0;
  const load = async (): Promise<void> => {
    while (reloaded < RELOADS) {
      const url = `http://${VIP4}/who`;
      const part = await wrk(cluster.client, { url, connections: 8, seconds: LOAD_SECONDS, close: true });
      total.requests += part.requests;
      total.failures += part.failures;
    }
  };
  const began = performance.now();
  const loading = load();
  for (const own of Array.from({ length: RELOADS }, (_, k) => variants()[k % variants().length])) {
    cluster.writeFrontConfig({ ...common, ...own });
    expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
    reloaded += 1;
  }
  const ms = (performance.now() - began) / RELOADS;
  await loading;
  const after = await countsOf(cluster);
  report(
    `${RELOADS} reloads, one every ${ms.toFixed(0)} ms: ${total.requests} requests, ${total.failures} failed; 20 connections held`,
  );
  expect(total.failures).toBe(0);
  expect(total.requests).toBeGreaterThan(1000);
  // Counters go on over generations.
  expect(after.handedOff - before.handedOff).toBeGreaterThanOrEqual(total.requests);
  expect(await held.stop()).toMatchObject({ opened: 20, failed: 0, reset: 0, closed: 0 });
}, 180_000);

test('a changed pool takes effect, by SIGHUP and by the admin API', async () => {
  const only = (k: number): Record<string, unknown> => ({
    pools: { web: { backends: [cluster.backend(k)] } },
  });
  cluster.writeFrontConfig(only(1));
  await reload('ok');
  expect([await answeringNode(), await answeringNode()]).toEqual(['b1', 'b1']);

  cluster.writeFrontConfig(only(2));
  expect(await cluster.frontPost('/v1/reload')).toEqual({ status: 200, body: { status: 'reloaded' } });
  expect([await answeringNode(), await answeringNode()]).toEqual(['b2', 'b2']);
});

test('a listener that is added listens, one that is removed does not', async () => {
  const listener = (port: number): unknown => ({
    name: `web${port}`,
    bind: `${VIP4}:${port}`,
    protocol: 'http',
  });
  cluster.writeFrontConfig({ listeners: [listener(80), listener(81)] });
  await reload('ok');
  await curl(cluster.client, [`http://${VIP4}:81/who`]);
  cluster.writeFrontConfig({ listeners: [listener(80)] });
  await reload('ok');
  await cluster.until('port 81 to be refused', async () => {
    const { code } = await cluster.client.run(['curl', '-s', '-m', '2', `http://${VIP4}:81/who`]);
    return code === CURL_REFUSED;
  });
  await curl(cluster.client, [`http://${VIP4}:80/who`]);
});

test.each([
  ['does not parse', 'listeners: [', /front\.yaml:1:/],
  ['asks for a restart', undefined, /steering has changed: that needs a restart/],
])('a file that %s leaves the old configuration running and says why', async (_what, text, reason) => {
  cluster.writeFrontConfig({ steering: { interface: 'eth0', pin: `${cluster.lab.pin}x` } });
  if (text !== undefined) writeFileSync(cluster.frontConfigFile, text);
  await reload('failed');
  await cluster.front.waitForLine(reason, 1000);
  const { status, body } = await cluster.frontPost('/v1/reload');
  expect(status).toBe(422);
  expect(body.error).toMatch(reason);
  await answeringNode();
});
