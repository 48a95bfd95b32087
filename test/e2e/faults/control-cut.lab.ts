import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { Firewall } from '../../lab/firewall';
import { ClientSockets } from './client-sockets';
import { BackgroundTransfers } from './background-transfers';
import { flowsOf } from './remains';
import { SteadyLoad, unserved } from './steady-load';

/** Control channels are cut: the connections of those backends go on, new ones go elsewhere, and they come back. */

const RATE = 200;
/** Open at once: a second's worth. A machine that is too slow for the rate gets fewer, and not ever more that wait. */
const LOAD = { rate: RATE, patienceMs: 15_000, mostOpen: RATE };
/** Handoffs of one channel whose COMMIT may be on its way in the moment of the cut. */
const COMMITS_UNDER_WAY = 3;
/** The silence limit of a channel, and what follows it. */
const NOTICE_MS = 8_000;
const GONE_MS = 2_000;
/** Waiting for an answer during the whole fault, three quarters of them on cut backends. */
const WAITING = 80;
const ANSWER_MS = 18_000;
const CONTROL_PORT = 7400;

let cluster: Cluster;
let sockets: ClientSockets;

beforeEach(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, '../app.mjs'),
    clientAddresses: 20,
    backends: 4,
    front: { timeouts: { linger: '500ms', backend_gone: `${GONE_MS}ms` } },
  });
  sockets = await ClientSockets.start(cluster.client);
}, 30_000);

afterEach(async () => {
  await sockets.stop();
  await cluster.destroy();
});

async function countOf(state: string): Promise<number> {
  const { backends } = await cluster.frontApi<{ backends: { state: string }[] }>('/v1/backends');
  return backends.filter((backend) => backend.state === state).length;
}

const NONE_LOST = { refused: 0, unconnected: 0, closed: 0, wrong: 0, hung: 0 };

/** Of the first three backends; the fourth is left alone. */
const CUTS = [
  {
    name: 'both ways',
    cut: { incoming: [`tcp dport ${CONTROL_PORT}`], outgoing: [`tcp sport ${CONTROL_PORT}`] },
  },
  { name: 'from the front', cut: { incoming: [`tcp dport ${CONTROL_PORT}`] } },
  { name: 'to the front', cut: { outgoing: [`tcp sport ${CONTROL_PORT}`] } },
];

test('three channels cut in three ways, for longer than a host may be silent', async () => {
  const waiting = await Promise.all(Array.from({ length: WAITING }, () => sockets.connect({ host: VIP4 })));
  // The answer comes when all is over: until then nothing is heard of these connections.
  await Promise.all(waiting.map((connection) => connection.get(`/slow?ms=${ANSWER_MS}`)));
  const askedAt = performance.now();
  const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 3, uploads: 3 });
  const load = await SteadyLoad.start(cluster.client, LOAD);
  const firewalls = CUTS.map((_, index) => new Firewall(cluster.lab.host(`b${index + 1}`)));
  const cutAt = performance.now();
  await Promise.all(firewalls.map((firewall, index) => firewall.drop(CUTS[index]?.cut ?? {})));
  await cluster.until('three are down', async () => (await countOf('down')) === CUTS.length, NOTICE_MS);
  const downMs = performance.now() - cutAt;
  // By then a host that does not answer would be given up.
  const due = (): Promise<boolean> => Promise.resolve(performance.now() - cutAt > downMs + 3 * GONE_MS);
  await cluster.until('the verdict is due', due);
  expect(performance.now() - askedAt).toBeLessThan(ANSWER_MS);
  for (const connection of waiting) expect((await connection.response(ANSWER_MS)).status).toBe(200);
  const dropped = await Promise.all(firewalls.map((firewall) => firewall.dropped()));
  await Promise.all(firewalls.map((firewall) => firewall.open()));
  await cluster.allUp();
  const outcomes = await load.stop();
  const bulk = await transfers.stop();
  const reset = await cluster.frontMetric('baton_flows_reset_total');
  const cuts = CUTS.map(({ name }, index) => `${name} (${dropped[index] ?? 0} packets dropped)`);
  process.stdout.write(
    `  control channels cut ${cuts.join(', ')}: down after ${Math.round(downMs)} ms; ` +
      `${outcomes.started} connections, ${outcomes.served} served, ${unserved(outcomes)}, slowest ${Math.round(outcomes.max)} ms; ` +
      `${WAITING} of ${WAITING} waiting ones and ${bulk.complete} of ${bulk.begun} transfers went on\n`,
  );
  expect(Math.min(...dropped)).toBeGreaterThan(0);
  // A COMMIT that was on its way is lost, and nobody can know; the connection's client is told.
  const told = outcomes.reset;
  expect({ ...outcomes, served: outcomes.served + told }).toMatchObject({
    ...NONE_LOST,
    served: outcomes.started,
  });
  expect(told).toBeLessThanOrEqual(CUTS.length * COMMITS_UNDER_WAY);
  expect(bulk).toMatchObject({ complete: bulk.begun, failed: [] });
  expect(reset).toBe(0);
  for (const connection of waiting) connection.close();
  await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
}, 120_000);
