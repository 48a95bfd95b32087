/** What clients may have at a listener, and what they are told beyond. */
import { Cluster } from '../../src/lab/cluster';
import { VIP4 } from '../../src/lab/topology';
import { holdAdopted, type Holders } from './exhaustion/holders';
import { APP, curl, report } from './support';

const [FIRST, SECOND] = [0, 1];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: APP,
    backends: 1,
    clientAddresses: 4,
    front: {
      listeners: [
        { limits: { connections: 15, client_connections: 10 }, port: 80 },
        { limits: { client_rate: 1, client_burst: 10 }, port: 81 },
      ].map(({ limits, port }) => ({
        name: `web${port}`,
        bind: `${VIP4}:${port}`,
        protocol: 'http',
        limits,
      })),
    },
  });
}, 60_000);

afterAll(() => cluster.destroy());

/** The response to a GET from one of the client's addresses, head and all. */
function ask(source: number, port = 80): Promise<string> {
  const from = cluster.client.addresses4[source] ?? '';
  return curl(cluster.client, ['-i', '--interface', from, `http://${VIP4}:${port}/who`]);
}

/** Connections of one of the client's addresses that were handed off and stay. */
function hold(source: number, count: number): Promise<Holders> {
  return holdAdopted(cluster, { count, parallel: 1, sources: [cluster.client.addresses4[source] ?? ''] });
}

const refused = (reason: string): Promise<number> =>
  cluster.frontMetric('baton_heads_refused_total', { reason });

test('open connections, those that were handed off included, by client and by listener', async () => {
  const ten = await hold(FIRST, 10);
  const tooMany = await ask(FIRST);
  expect(tooMany).toMatch(/^HTTP\/1\.1 429 Too Many Requests\r\n/);
  expect(tooMany).toMatch(/^retry-after: 1\r$/im);
  expect(await refused('client_connections')).toBe(1);

  const five = await hold(SECOND, 5);
  const full = await ask(SECOND);
  expect(full).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
  expect(full).toMatch(/^retry-after: 1\r$/im);
  expect(await refused('listener_connections')).toBe(1);

  // What is open stays so through a reload.
  expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
  expect(await ask(FIRST)).toMatch(/^HTTP\/1\.1 429 /);
  for (const held of [ten, five]) expect(await held.stop()).toMatchObject({ reset: 0, closed: 0 });
  await cluster.until('room', async () => /^HTTP\/1\.1 200 /.test(await ask(FIRST)));
  report(
    'limits: the 11th connection of a client got 429, the 16th of the listener 503, after their ends 200',
  );
}, 60_000);

test('new connections per second of a client', async () => {
  const answers: string[] = [];
  const began = performance.now();
  for (let k = 0; k < 20; k++) answers.push((await ask(FIRST, 81)).slice(9, 12));
  const seconds = (performance.now() - began) / 1000;
  const served = answers.filter((code) => code === '200').length;
  report(
    `limits: 20 connections in ${seconds.toFixed(2)} s at 1 a second and a burst of 10: ${served} served`,
  );
  expect(answers.slice(0, 10)).toEqual(Array(10).fill('200'));
  expect(new Set(answers)).toEqual(new Set(['200', '429']));
  // The time that was measured is a little longer than that from the first to the last.
  expect(served).toBeLessThanOrEqual(10 + seconds);
  expect(served).toBeGreaterThan(10 + seconds - 2);
  expect(await refused('client_rate')).toBe(20 - served);
  expect((await ask(SECOND, 81)).slice(9, 12)).toBe('200');
}, 60_000);
