import { writeFileSync } from 'node:fs';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { holdAdopted } from './exhaustion/holders';
import { SteadyLoad, unserved } from './faults/steady-load';
import { APP, countsOf, curl, report } from './support';

const RELOADS = 100;
/** Connections per second: some dozens per reload, and little enough that reloads do not wait for CPUs. */
const RATE = 100;
/** A machine that is too slow for the rate gets fewer connections, and not ever more that wait. */
const LOAD = { rate: RATE, patienceMs: 30_000, mostOpen: 64 };
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
  const load = await SteadyLoad.start(cluster.client, LOAD);
  const began = performance.now();
  for (const own of Array.from({ length: RELOADS }, (_, k) => variants()[k % variants().length])) {
    cluster.writeFrontConfig({ ...common, ...own });
    expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
  }
  const ms = (performance.now() - began) / RELOADS;
  const outcomes = await load.stop();
  const after = await countsOf(cluster);
  report(
    `${RELOADS} reloads, one every ${ms.toFixed(0)} ms: ${outcomes.started} connections, ${outcomes.served} served, ` +
      `${unserved(outcomes)}; 20 connections held`,
  );
  expect(outcomes.served).toBe(outcomes.started);
  expect(outcomes.started).toBeGreaterThan(1000);
  // Counters go on over generations.
  expect(after.handedOff - before.handedOff).toBeGreaterThanOrEqual(outcomes.served);
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
