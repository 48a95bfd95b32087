import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import type { LabProgram } from '../../../src/lab/lab-process';
import { VIP4, VIP6 } from '../../../src/lab/topology';
import { amount } from '../../soak';
import { BackgroundTransfers } from './background-transfers';
import { ClientSockets } from './client-sockets';
import type { RawConnection } from './raw-connection';
import { flowsOf } from './remains';
import { SteadyLoad, unserved } from './steady-load';

/** An agent in front of a server of its host (`serve.upstream`) starts again, while that server goes on. */

const SERVICE = join(__dirname, '../plain-service.mjs');
const PORT = 8080;
const RATE = 100;
const PATIENCE_MS = 12_000;
const RESTARTS = amount(1, 20);
/** Connections that an agent has taken when it is at work. */
const AT_WORK = 25;
const HELD = 6;
const DIRECT = 4;
const LANES = { downloads: 2, uploads: 2 };
/** Requests that a killed agent has in its hands at this rate. */
const MOST_IN_HAND = 10;
const TIMEOUT_MS = 60_000 + RESTARTS * 15_000;

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: '',
    clientAddresses: 10,
    agent: () => ({ serve: { upstream: `http://127.0.0.1:${PORT}` } }),
  });
  const argv = [process.execPath, SERVICE, '0.0.0.0', String(PORT), '120'];
  for (const host of cluster.lab.backends) {
    await host.spawn(argv, { env: { BATON_NODE: host.name } }).waitForLine('listening', PATIENCE_MS);
  }
  sockets = await ClientSockets.start(cluster.client);
}, TIMEOUT_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

function agent(): LabProgram {
  const [first] = cluster.agents;
  if (first === undefined) throw new Error('no agent');
  return first;
}

/** How many connections the present agent of a backend has taken. */
function adopted(k: number): Promise<number> {
  return cluster.agentMetric(k, 'baton_agent_adoptions_total', { result: 'ok' });
}

/** Waits until the present agent of a backend has taken some more than `since`, or than now. */
async function untilTaken(k: number, since?: number): Promise<void> {
  const before = since ?? (await adopted(k));
  await cluster.until(`b${k} at work`, async () => (await adopted(k)) >= before + AT_WORK);
}

async function nodeOf(connection: RawConnection): Promise<string> {
  await connection.get('/who');
  return (JSON.parse((await connection.response()).body) as { node: string }).node;
}

function hold(count: number, host: string, port = 80): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => sockets.connect({ host, port })));
}

/** How often each VIP is an address of the agent's host. */
async function vips(): Promise<number[]> {
  const { stdout } = await cluster.lab.host('b1').run(['ip', '-o', 'address', 'show', 'dev', 'lo']);
  return [VIP4, VIP6].map((vip) => stdout.split(` ${vip}/`).length - 1);
}

test.each(['SIGTERM', 'SIGKILL'] as const)(
  `an agent ends by %s and starts again, ${RESTARTS} times, while its server goes on`,
  async (signal) => {
    const origin = cluster.lab.host('b1').address4;
    const load = await SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS });
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, LANES);
    const ownTransfers = await BackgroundTransfers.start(
      cluster.client,
      origin,
      { downloads: 1, uploads: 1 },
      PORT,
    );
    const direct = await hold(DIRECT, origin, PORT);
    for (const each of direct) expect(await nodeOf(each)).toBe('b1');
    let [ended, moved, stayed, elsewhere] = [0, 0, 0, 0];
    for (let k = 0; k < RESTARTS; k++) {
      await untilTaken(1);
      const held = await hold(HELD, VIP4);
      const nodes = await Promise.all(held.map(nodeOf));
      const before = await adopted(2);
      agent().kill(signal);
      expect(await agent().exited).toMatchObject(signal === 'SIGTERM' ? { code: 0 } : { signal });
      await untilTaken(2, before);
      elsewhere += (await adopted(2)) - before;
      for (const [index, each] of held.entries()) {
        const own = nodes[index] === 'b1';
        if (own && signal === 'SIGKILL') {
          await each.ended(PATIENCE_MS);
          ended += 1;
        } else {
          expect(await nodeOf(each)).toBe('b2');
          if (own) moved += 1;
          else stayed += 1;
        }
        each.close();
      }
      // The agent finds one VIP gone and leaves the other alone.
      await cluster.lab.host('b1').run(['ip', 'address', 'del', `${VIP6}/128`, 'dev', 'lo']);
      expect(await vips()).toEqual([1, 0]);
      await cluster.startAgent(1);
      expect(await vips()).toEqual([1, 1]);
      const done = agent().lines.filter((line) => line.includes('"msg":"manage_vips"'));
      expect(done.map((line) => (JSON.parse(line) as { done: string }).done)).toEqual([
        `${VIP6} added to lo`,
      ]);
      await cluster.allUp();
      for (const each of direct) expect(await nodeOf(each)).toBe('b1');
    }
    await untilTaken(1);
    const outcomes = await load.stop();
    const [bulk, own] = [await transfers.stop(), await ownTransfers.stop()];
    process.stdout.write(
      `  agent restarted ${RESTARTS} times by ${signal}: ${outcomes.started} connections, ${outcomes.served} served ` +
        `(${elsewhere} by the other one while it was away), ${unserved(outcomes)}; transfers: ${bulk.complete} of ${bulk.begun} right, ` +
        `${bulk.failed.length} lost; idle connections: ${ended} of its own closed, ${moved} moved, ${stayed} of the other one kept; ` +
        `not adopted: ${own.complete} of ${own.begun} transfers right, ${DIRECT} of ${DIRECT} connections kept\n`,
    );
    expect(outcomes).toMatchObject({ hung: 0, wrong: 0, unconnected: 0, refused: 0 });
    expect(own).toMatchObject({ failed: [], complete: own.begun });
    expect(own.begun).toBeGreaterThan(0);
    expect(signal === 'SIGTERM' ? moved : ended).toBeGreaterThan(0);
    if (signal === 'SIGTERM') {
      expect(outcomes.served).toBe(outcomes.started);
      expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
    } else {
      // What lived in the killed process is lost with it, and its clients are told.
      expect(outcomes.reset + outcomes.closed).toBeLessThan(RESTARTS * MOST_IN_HAND);
      expect(bulk.failed.length).toBeLessThanOrEqual(RESTARTS * (LANES.downloads + LANES.uploads));
      expect(bulk.failed.filter((cause) => cause.includes('wrong checksum'))).toEqual([]);
      expect(bulk.complete + bulk.failed.length).toBe(bulk.begun);
    }
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  TIMEOUT_MS,
);
