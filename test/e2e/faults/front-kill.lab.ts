import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { amount } from '../../soak';
import { ClientSockets } from './client-sockets';
import { BackgroundTransfers } from './background-transfers';
import { flowsOf } from './remains';
import { SteadyLoad, unserved } from './steady-load';

/** The front is killed in the middle of everything: what it had handed off lives, and nobody waits for ever. */

const RATE = 200;
const PATIENCE_MS = 4_000;
const KILLS = amount(4, 100);
/** Offers under way when the front is killed. */
const OFFERS = 100;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, '../app.mjs'),
    clientAddresses: 20,
    front: { timeouts: { linger: '500ms', prepare: '10s' } },
  });
}, 30_000);

afterAll(() => cluster.destroy());

async function killAndRestart(): Promise<number> {
  cluster.front.kill('SIGKILL');
  await cluster.front.exited;
  const began = performance.now();
  await cluster.startFront();
  return performance.now() - began;
}

test(
  `killed ${KILLS} times at ${RATE} handoffs per second: no transfer is lost, and nobody is left waiting`,
  async () => {
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 6, uploads: 6 });
    const load = await SteadyLoad.start(cluster.client, {
      rate: RATE,
      patienceMs: PATIENCE_MS,
      mostOpen: RATE,
    });
    const starts: number[] = [];
    let accepted = 0;
    for (let k = 0; k < KILLS; k++) {
      await cluster.until(
        'the front is busy',
        async () => (await cluster.frontMetric('baton_handoffs_total', { result: 'ok' })) > RATE / 4,
      );
      accepted += await cluster.frontMetric('baton_connections_accepted_total');
      starts.push(await killAndRestart());
    }
    await cluster.allUp();
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    process.stdout.write(
      `  front killed ${KILLS} times at ${RATE} handoffs/s: ${outcomes.started} connections, ${outcomes.served} served, ` +
        `${unserved(outcomes)}; back after ${starts.map(Math.round).join(', ')} ms, longest gap ` +
        `${Math.round(outcomes.longestGap)} ms\n` +
        `  meanwhile ${bulk.complete} of ${bulk.begun} transfers (${Math.round(bulk.bytes / 2 ** 20)} MiB) came through a kill right, ` +
        `${bulk.failed.length} lost\n`,
    );
    expect(outcomes).toMatchObject({ hung: 0, wrong: 0, unconnected: 0 });
    // Those that were in the front's own hands, or in its queue, end with it: far less than a second's worth, at each kill.
    expect(outcomes.reset + outcomes.closed).toBeLessThan(KILLS * RATE);
    expect(bulk.failed).toEqual([]);
    expect(bulk.complete).toBe(bulk.begun);
    expect(bulk.begun).toBeGreaterThan(12);
    expect(accepted).toBeGreaterThan(KILLS * (RATE / 4));
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  60_000 + KILLS * 6_000,
);

test(`killed with ${OFFERS} offers under way: every client is told at once`, async () => {
  const sockets = await ClientSockets.start(cluster.client);
  for (const agent of cluster.agents) agent.kill('SIGSTOP');
  const connections = await Promise.all(
    Array.from({ length: OFFERS }, () => sockets.connect({ host: VIP4 })),
  );
  await Promise.all(connections.map((connection) => connection.get('/who')));
  await cluster.until(
    'all are offered',
    async () => (await cluster.frontApi<{ offers: number }>('/v1/status')).offers === OFFERS,
  );
  const killedAt = performance.now();
  cluster.front.kill('SIGKILL');
  const ends = await Promise.all(connections.map((connection) => connection.ended()));
  const ms = Math.max(...connections.map(({ endedAt }) => endedAt)) - killedAt;
  for (const agent of cluster.agents) agent.kill('SIGCONT');
  process.stdout.write(
    `  front killed with ${OFFERS} offers under way: ${ends.filter((end) => end === 'RST').length} clients reset, ` +
      `the last after ${ms.toFixed(0)} ms, 0 left waiting\n`,
  );
  expect(ends).toEqual(Array(OFFERS).fill('RST'));
  expect(ms).toBeLessThan(1_000);

  await cluster.startFront();
  await cluster.allUp();
  await cluster.until('the agents have dropped what was prepared', async () => {
    const all = await Promise.all([1, 2].map((k) => cluster.agentApi<{ prepared: number }>(k, '/v1/status')));
    return all.every(({ prepared }) => prepared === 0);
  });
  expect(await flowsOf(cluster)).toBe(0);
  await sockets.stop();
}, 60_000);
