import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4, VIP6 } from '../../../src/lab/topology';
import { ClientSockets } from './client-sockets';
import type { RawConnection } from './raw-connection';
import { flowsOf } from './remains';
import { SteadyLoad, unserved } from './steady-load';

/** A backend's host is gone: its clients are told, nobody else notices, and it is welcome again. */

const RATE = 60;
const PATIENCE_MS = 20_000;
const GONE_MS = 2_000;
/** Until the channel's silence is noticed (5 s), the host is given up, and a neighbour was asked (3 s). */
const TOLD_WITHIN_MS = 15_000;
const WAITING = 40;

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, '../app.mjs'),
    clientAddresses: 20,
    front: (made) => ({
      timeouts: { linger: '500ms', backend_gone: `${GONE_MS}ms` },
      pools: {
        web: {
          health: { path: '/healthz', interval: '500ms', timeout: '500ms', fall: 2 },
          backends: [1, 2].map((k) => made.backend(k)),
        },
      },
    }),
  });
  sockets = await ClientSockets.start(cluster.client);
}, 30_000);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

/** Connections by the backend that serves them; each has had an answer. */
async function connections(vip: string): Promise<Map<string, RawConnection[]>> {
  const byNode = new Map<string, RawConnection[]>();
  for (let k = 0; k < WAITING; k++) {
    const connection = await sockets.connect({ host: vip });
    await connection.get('/who');
    const { node } = JSON.parse((await connection.response()).body) as { node: string };
    byNode.set(node, [...(byNode.get(node) ?? []), connection]);
  }
  return byNode;
}

test('its clients get a RST, wait they for an answer or not, and the others are served', async () => {
  const all = [await connections(VIP4), await connections(VIP6)];
  const on = (node: string): RawConnection[] => all.flatMap((byNode) => byNode.get(node) ?? []);
  const [lost, others] = [on('b1'), on('b2')];
  expect([lost.length, others.length]).toEqual([WAITING, WAITING]);
  // Half of them wait for an answer that will not come, half have nothing to say.
  await Promise.all(lost.slice(0, WAITING / 2).map((connection) => connection.get('/slow?ms=60000')));
  await Promise.all(others.map((connection) => connection.get(`/slow?ms=${TOLD_WITHIN_MS}`)));
  const load = await SteadyLoad.start(cluster.client, {
    rate: RATE,
    patienceMs: PATIENCE_MS,
    mostOpen: 4 * RATE,
  });

  const cutAt = performance.now();
  await cluster.lab.host('b1').run(['ip', 'link', 'set', 'eth0', 'down']);
  const ends = await Promise.all(lost.map((connection) => connection.ended(TOLD_WITHIN_MS)));
  const ms = Math.max(...lost.map(({ endedAt }) => endedAt)) - cutAt;
  const reset = await cluster.frontMetric('baton_flows_reset_total', { backend: 'b1' });
  for (const connection of others) expect((await connection.response(TOLD_WITHIN_MS)).status).toBe(200);
  const outcomes = await load.stop();
  process.stdout.write(
    `  host gone: ${ends.filter((end) => end === 'RST').length} of its ${WAITING} clients reset within ${Math.round(ms)} ms, ` +
      `${others.length} connections of the other backend untouched; ${outcomes.started} new connections, ` +
      `${outcomes.served} served, ${unserved(outcomes)}, slowest ${Math.round(outcomes.max)} ms\n`,
  );
  expect(ends).toEqual(Array(WAITING).fill('RST'));
  expect(reset).toBeGreaterThanOrEqual(WAITING);
  expect(outcomes).toMatchObject({ hung: 0, wrong: 0, refused: 0, unconnected: 0, closed: 0 });
  // Only what was on its way to that host in the moment of its end.
  expect(outcomes.reset).toBeLessThan(RATE / 10);
  expect(cluster.front.lines.some((line) => line.includes('backend host is gone'))).toBe(true);
  for (const connection of others) connection.close();
  await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
}, 60_000);

test('it is up again, and gets its share', async () => {
  const b1 = cluster.lab.host('b1');
  await b1.run(['ip', 'link', 'set', 'eth0', 'up']);
  // The kernel has taken the IPv6 address away with the link.
  await b1.run(['ip', 'addr', 'replace', `${b1.address6}/48`, 'dev', 'eth0', 'nodad']);
  await cluster.allUp();
  const byNode = await connections(VIP4);
  expect([...byNode.keys()].sort()).toEqual(['b1', 'b2']);
  for (const connection of [...byNode.values()].flat()) connection.close();
}, 60_000);
