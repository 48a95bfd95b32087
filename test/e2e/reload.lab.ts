import { writeFileSync } from 'node:fs';
import { Cluster } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { wrk } from './http-bench';
import { APP, countsOf, curl, report } from './support';

const RELOADS = 10;
const LOAD_SECONDS = 6;
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

test(`${RELOADS} reloads under a load of new connections fail no request`, async () => {
  const before = await countsOf(cluster);
  const url = `http://${VIP4}/who`;
  const load = wrk(cluster.client, { url, connections: 32, seconds: LOAD_SECONDS, close: true });
  for (let count = 0; count < RELOADS; count++) await reload('ok');
  const result = await load;
  const after = await countsOf(cluster);
  report(`${RELOADS} reloads: ${result.requests} requests, ${result.failures} failed`);
  expect(result.failures).toBe(0);
  expect(result.requests).toBeGreaterThan(1000);
  // Counters go on over generations.
  expect(after.handedOff - before.handedOff).toBeGreaterThanOrEqual(result.requests);
}, 60_000);

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
