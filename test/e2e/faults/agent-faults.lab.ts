import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../../src/lab/cluster';
import type { LabProgram } from '../../../src/lab/lab-process';
import { VIP4 } from '../../../src/lab/topology';
import { amount } from '../../soak';
import { BackgroundTransfers } from './background-transfers';
import { flowsOf } from './remains';
import { SteadyLoad, unserved } from './steady-load';

/** Agents are killed and stopped at work: only what lived in a killed one is lost, and its clients are told. */

const RATE = 200;
/** Open at once: a second's worth. A machine that is too slow for the rate gets fewer, and not ever more that wait. */
const LOAD = { rate: RATE, patienceMs: 12_000, mostOpen: RATE };
const KILLS = amount(4, 50);
/** Shorter than the control channel's silence limit (5 s), and longer. */
const STOPS_MS = [1_500, 8_000];
const PREPARE_MS = 1_000;

let cluster: Cluster;

beforeAll(async () => {
  const timeouts = { linger: '500ms', prepare: `${PREPARE_MS}ms` };
  cluster = await Cluster.start({
    app: join(__dirname, '../app.mjs'),
    clientAddresses: 20,
    front: { timeouts },
  });
}, 30_000);

afterAll(() => cluster.destroy());

function agent(k: number): LabProgram {
  const found = cluster.agents[k - 1];
  if (found === undefined) throw new Error(`no agent ${k}`);
  return found;
}

function timeouts(): Promise<number> {
  return cluster.frontMetric('baton_handoffs_total', { result: 'timeout' });
}

/** Waits until an agent has taken some connections more. */
async function atWork(k: number): Promise<void> {
  const adopted = (): Promise<number> =>
    cluster.agentMetric(k, 'baton_agent_adoptions_total', { result: 'ok' });
  const before = await adopted();
  await cluster.until(`b${k} is at work`, async () => (await adopted()) > before + RATE / 8);
}

test(
  `an agent killed ${KILLS} times at ${RATE} handoffs per second: nobody is left waiting`,
  async () => {
    const load = await SteadyLoad.start(cluster.client, LOAD);
    for (let k = 0; k < KILLS; k++) {
      await atWork(1);
      agent(1).kill('SIGKILL');
      await agent(1).exited;
      await cluster.startAgent(1);
      await cluster.allUp();
    }
    const outcomes = await load.stop();
    process.stdout.write(
      `  agent killed ${KILLS} times at ${RATE} handoffs/s: ${outcomes.started} connections, ${outcomes.served} served, ` +
        `${unserved(outcomes)}; longest gap ${Math.round(outcomes.longestGap)} ms, slowest ${Math.round(outcomes.max)} ms\n`,
    );
    expect(outcomes).toMatchObject({ hung: 0, wrong: 0, unconnected: 0, refused: 0 });
    // What lived in the killed agent is lost with it: a few requests under way, each time. How many there are follows from
    // how long they take (Little's law).
    const underWay = (RATE * outcomes.p99) / 1000;
    expect(outcomes.reset + outcomes.closed).toBeLessThan(KILLS * Math.max(10, underWay));
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  60_000 + KILLS * 5_000,
);

test.each(STOPS_MS)(
  'an agent stopped for %i ms at work: its connections go on afterwards, the others are served meanwhile',
  async (stopMs) => {
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 6, uploads: 6 });
    const load = await SteadyLoad.start(cluster.client, LOAD);
    const before = await timeouts();
    await atWork(1);
    agent(1).kill('SIGSTOP');
    // The fault itself: how long it lasts is what is tested.
    await sleep(stopMs);
    agent(1).kill('SIGCONT');
    await cluster.allUp();
    const late = (await timeouts()) - before;
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    process.stdout.write(
      `  agent stopped for ${stopMs} ms: ${outcomes.started} connections, ${outcomes.served} served, ${unserved(outcomes)}; ` +
        `${late} offers timed out, p99 ${Math.round(outcomes.p99)} ms; ${bulk.complete} of ${bulk.begun} transfers right\n`,
    );
    expect(outcomes.served).toBe(outcomes.started);
    expect(bulk).toMatchObject({ complete: bulk.begun, failed: [] });
    // Offers go to it for one prepare timeout and no longer: half of what comes in that time.
    expect(late).toBeLessThan((RATE * PREPARE_MS) / 1000);
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  90_000,
);
