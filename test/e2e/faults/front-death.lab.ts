import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import type { LabProcess } from '../../../src/lab/lab-process';
import { VIP4, VIP6 } from '../../../src/lab/topology';
import { ClientSockets } from './client-sockets';
import { flowsOf, untilNothingLeft, descriptorsOf } from './remains';

/** Handed-off connections need no front: it may be killed, stopped or started again in the middle of a transfer. */

const TRANSFERS = join(__dirname, 'transfers.mjs');
const BYTES = 64 * 1024 * 1024;
const DOWNLOADS = 8;
const UPLOADS = 4;
const TRANSFER_TIMEOUT_MS = 30_000;
/** Each of two agents has a channel of the accepting thread and one of the keeper; they may come up after the count. */
const CHANNELS = 4;

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({ app: join(__dirname, '../app.mjs') });
  sockets = await ClientSockets.start(cluster.client);
}, 30_000);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

/** Starts the transfers and returns when each has got some way, where it waits for SIGUSR2. */
async function underWay(vip: string): Promise<LabProcess> {
  const counts = [DOWNLOADS, UPLOADS, BYTES].map(String);
  const transfers = cluster.client.spawn([process.execPath, TRANSFERS, vip, ...counts]);
  await transfers.waitForLine('paused', TRANSFER_TIMEOUT_MS);
  expect(await adopted()).toBe(DOWNLOADS + UPLOADS);
  return transfers;
}

/** Lets the transfers go on, and returns what they say in the end. */
async function complete(transfers: LabProcess): Promise<{ complete: number; failed: string[] }> {
  transfers.kill('SIGUSR2');
  const line = await transfers.waitForLine('"complete"', TRANSFER_TIMEOUT_MS);
  return JSON.parse(line) as { complete: number; failed: string[] };
}

async function adopted(): Promise<number> {
  const counts = await Promise.all([1, 2].map((k) => cluster.agentMetric(k, 'baton_agent_connections')));
  return counts.reduce((sum, count) => sum + count, 0);
}

function steered(): Promise<number> {
  return cluster.frontMetric('baton_steered_packets_total');
}

async function serves(vip: string): Promise<void> {
  const connection = await sockets.connect({ host: vip });
  await connection.get('/who');
  expect(await connection.response()).toMatchObject({ status: 200 });
  connection.close();
}

const ALL = { complete: DOWNLOADS + UPLOADS, failed: [] };

test.each([
  { family: 'IPv4', vip: VIP4 },
  { family: 'IPv6', vip: VIP6 },
])(
  'a killed front that stays dead costs no transfer, $family',
  async ({ family, vip }) => {
    const transfers = await underWay(vip);
    cluster.front.kill('SIGKILL');
    expect((await cluster.front.exited).signal).toBe('SIGKILL');
    const begin = performance.now();
    expect(await complete(transfers)).toEqual(ALL);
    const ms = performance.now() - begin;

    await cluster.startFront();
    await cluster.allUp();
    const taken = await flowsOf(cluster);
    await serves(vip);
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
    process.stdout.write(
      `  ${family}: ${ALL.complete} transfers of 64 MiB right without a front (the last 7/8 in ${ms.toFixed(0)} ms); ` +
        `${taken} flows taken up, 0 after the linger\n`,
    );
  },
  60_000,
);

test('a front killed and started again goes on counting, and keeps live flows', async () => {
  const transfers = await underWay(VIP4);
  const [flows, packets] = [await flowsOf(cluster), await steered()];
  expect(flows).toBe(ALL.complete);
  cluster.front.kill('SIGKILL');
  await cluster.front.exited;
  await cluster.startFront();
  const descriptors = descriptorsOf(cluster.front);
  await cluster.allUp();

  expect(await flowsOf(cluster)).toBe(flows);
  const after = await steered();
  expect(after).toBeGreaterThanOrEqual(packets);
  expect(await complete(transfers)).toEqual(ALL);
  const end = await steered();
  expect(end).toBeGreaterThan(after);
  await serves(VIP4);
  await untilNothingLeft(cluster, descriptors + CHANNELS);
  process.stdout.write(`  restarted: ${flows} flows kept, packets steered ${packets}, ${after}, ${end}\n`);
}, 60_000);

test('a front ends with code 0 on SIGTERM, and leaves its connections alone', async () => {
  const transfers = await underWay(VIP4);
  cluster.front.kill('SIGTERM');
  expect(await cluster.front.exited).toEqual({ code: 0, signal: null });
  expect(await complete(transfers)).toEqual(ALL);
}, 60_000);

test('an agent ends with code 0 on SIGTERM, when its responses are through', async () => {
  await cluster.startFront();
  await cluster.allUp();
  const transfers = await underWay(VIP4);
  const [agent] = cluster.agents;
  agent?.kill('SIGTERM');
  await agent?.waitForLine('stopping', 1_000);
  // An agent on its way out takes nothing more.
  for (let k = 0; k < 10; k++) await serves(VIP4);
  expect(await complete(transfers)).toEqual(ALL);
  expect(await agent?.exited).toEqual({ code: 0, signal: null });
}, 60_000);
