/** A service manager holds the listening sockets: a front that ends and starts again is a wait, and not a refusal. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { amount } from '../soak';
import { BackgroundTransfers } from './faults/background-transfers';
import { ClientSockets } from './faults/client-sockets';
import { flowsOf } from './faults/remains';
import { SteadyLoad, unserved, type Outcomes } from './faults/steady-load';
import { frontCommand, ServiceManager } from './restart/service-manager';
import { APP, curl, report } from './support';

const RATE = 150;
const RESTARTS = amount(1, 30);
const KILLS = amount(1, 20);
/** Between two restarts, so that each meets a front at work. */
const PAUSE_MS = 400;
const PATIENCE_MS = 30_000;
/** As in restart.lab.ts: more would only wait for each other, but all that come while no front runs are to be held. */
const MOST_OPEN = 400;
/** What a killed front may have in its hands at a time; what waits in the sockets' queues is not among them. */
const MOST_IN_HAND = 64;
const SOCKETS = [`${VIP4}:80`, `[${VIP6}]:80`];
const ADMIN = '127.0.0.1:9180';
const TIMEOUT_MS = 60_000;
const SIGKILLED = 128 + 9;
const NONE_LOST = { refused: 0, unconnected: 0, reset: 0, closed: 0, wrong: 0, hung: 0 };

let cluster: Cluster;
let manager: ServiceManager;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, clientAddresses: 20 });
  await cluster.front.stop();
}, TIMEOUT_MS);

afterAll(() => cluster.destroy());

beforeEach(() => cluster.writeFrontConfig({}));

afterEach(async () => {
  await cluster.front.stop();
  await manager.stop();
}, TIMEOUT_MS);

function loads(): Promise<[SteadyLoad, BackgroundTransfers]> {
  const options = { rate: RATE, patienceMs: PATIENCE_MS, mostOpen: MOST_OPEN };
  return Promise.all([
    SteadyLoad.start(cluster.client, options),
    BackgroundTransfers.start(cluster.client, VIP4, { downloads: 1, uploads: 1 }),
  ]);
}

function sentence(outcomes: Outcomes): string {
  const { started, served, longestGap } = outcomes;
  return `${started} connections, ${served} served, ${unserved(outcomes)}; longest gap ${longestGap.toFixed(0)} ms`;
}

test(
  `${RESTARTS} restarts by SIGTERM and start, and a successor, at ${RATE} connections per second`,
  async () => {
    manager = await ServiceManager.start(cluster, [...SOCKETS, ADMIN]);
    await manager.startFront();
    const line = await cluster.front.waitForLine('listening sockets taken over', 1000);
    expect(JSON.parse(line)).toMatchObject({ from: 'service manager', sockets: { length: 3 } });
    await cluster.allUp();
    const [load, transfers] = await loads();
    const ms: number[] = [];
    for (let k = 0; k < RESTARTS; k++) {
      await sleep(PAUSE_MS);
      // The sockets are one per address, whatever the number of accepting threads.
      cluster.writeFrontConfig({ workers: 1 + ((k + 1) % 2) });
      const began = performance.now();
      cluster.front.kill('SIGTERM');
      await manager.notified('STOPPING=1');
      expect(await manager.ended(cluster.front)).toBe(0);
      await manager.startFront();
      ms.push(performance.now() - began);
    }
    await sleep(PAUSE_MS);
    // The service manager is told who speaks for the service now, and it is that one which has the sockets.
    const before = await cluster.restartFront();
    await manager.notified(`MAINPID=${cluster.front.pid}`);
    expect(await manager.ended(before)).toBe(0);
    cluster.front.kill('SIGTERM');
    expect(await manager.ended(cluster.front)).toBe(0);
    await manager.startFront();

    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    report(
      `${RESTARTS + 1} restarts with a manager's sockets, ${Math.max(...ms).toFixed(0)} ms at most from SIGTERM to READY, ` +
        `1 successor: ${sentence(outcomes)}; ${bulk.complete} of ${bulk.begun} transfers right`,
    );
    expect(outcomes).toMatchObject({ ...NONE_LOST, served: outcomes.started });
    expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  TIMEOUT_MS + RESTARTS * 10_000,
);

test(
  `${KILLS} kills: what waits in the queues is served by the next front, what was in the hands of the killed one is not`,
  async () => {
    manager = await ServiceManager.start(cluster, SOCKETS);
    await manager.startFront();
    await cluster.allUp();
    const [load, transfers] = await loads();
    for (let k = 0; k < KILLS; k++) {
      await sleep(PAUSE_MS);
      cluster.front.kill('SIGKILL');
      expect(await manager.ended(cluster.front)).toBe(SIGKILLED);
      await manager.startFront();
    }
    await sleep(PAUSE_MS);
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    report(
      `front killed ${KILLS} times: ${sentence(outcomes)}; ${bulk.complete} of ${bulk.begun} transfers right`,
    );
    expect(outcomes).toMatchObject({ refused: 0, unconnected: 0, wrong: 0, hung: 0 });
    expect(outcomes.reset + outcomes.closed).toBeLessThan(KILLS * MOST_IN_HAND);
    expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
  },
  TIMEOUT_MS + KILLS * 10_000,
);

test(
  'connections that came while no front was there are served by the next one',
  async () => {
    manager = await ServiceManager.start(cluster, SOCKETS);
    const sockets = await ClientSockets.start(cluster.client);
    const early = await sockets.connect({ host: VIP4 });
    const early6 = await sockets.connect({ host: VIP6 });
    for (const connection of [early, early6]) await connection.get('/who');
    await manager.startFront();
    for (const connection of [early, early6]) {
      expect(await connection.response(PATIENCE_MS)).toMatchObject({ status: 200 });
    }
    cluster.front.kill('SIGTERM');
    expect(await manager.ended(cluster.front)).toBe(0);
    await sockets.stop();
  },
  TIMEOUT_MS,
);

test(
  'sockets that nobody has a use for are an error that names them, and those for somebody else are left alone',
  async () => {
    manager = await ServiceManager.start(cluster, [...SOCKETS, `${VIP4}:81`]);
    const failed = await manager.launch();
    const line = await failed.waitForLine('front failed', TIMEOUT_MS);
    expect(JSON.parse(line)).toMatchObject({
      cause: expect.stringMatching(/^LISTEN_FDS: descriptor 5 is bound to 198\.19\.0\.1:81,/) as string,
    });
    expect(await manager.ended(failed)).toBe(1);
    await manager.startFront(SOCKETS.length);
    await cluster.allUp();
    await curl(cluster.client, [`http://${VIP4}/who`]);
    // LISTEN_PID names another process: the descriptors are not meant for this one, which finds the addresses taken.
    const variables = ['LISTEN_PID=1', 'LISTEN_FDS=2'];
    const front = ['env', ...variables, ...frontCommand(cluster)];
    const { code, stdout } = await cluster.frontHost.run(front, { timeoutMs: TIMEOUT_MS });
    expect({ code, taken: /EADDRINUSE/.test(stdout) }).toEqual({ code: 1, taken: true });
    cluster.front.kill('SIGTERM');
    expect(await manager.ended(cluster.front)).toBe(0);
  },
  TIMEOUT_MS,
);
