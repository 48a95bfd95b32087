import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import type { LabProgram } from '../../../src/lab/lab-process';
import { VIP4 } from '../../../src/lab/topology';
import { BackgroundTransfers } from './background-transfers';
import { ClientSockets } from './client-sockets';
import type { RawConnection } from './raw-connection';
import { RELAYED, relayToo } from './relay-too';
import { descriptorsOf, flowsOf, untilNothingLeft } from './remains';
import { SlowTransfers } from './slow-transfers';
import { SteadyLoad, unserved, type Outcomes } from './steady-load';

/** SIGTERM in the middle of work: what is in hand comes to its end, byte by byte, and nobody is left waiting. */

const RATE = 50;
const PATIENCE_MS = 12_000;
/** What a stopping front or agent gives to what it has, and some for a machine that has other work too. */
const GRACE_MS = 10_000;
const SLACK_MS = 2_000;
const SLOW = 4;
const IDLE = 6;
const RUNNING = 6;
const RUNNING_MS = 3_000;
/** What a listening socket takes along: handshakes under way, and those that have said nothing yet (README, restarts). */
const MOST_IN_QUEUE = 32;
/** Where an agent alone has all the work, an offer may wait; what it waits for is not what is tested. */
const TIMEOUTS = { linger: '500ms', prepare: '10s' };
const TIMEOUT_MS = 90_000;
const LATE = { status: 200, body: 'late\n' };

let cluster: Cluster;
let sockets: ClientSockets;
let slow: SlowTransfers;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, '../patient-app.mjs'),
    clientAddresses: 10,
    front: { timeouts: TIMEOUTS },
  });
  sockets = await ClientSockets.start(cluster.client);
  slow = await SlowTransfers.prepare(cluster, `${cluster.lab.host('b1').address4}:8080`);
}, TIMEOUT_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

function connections(count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => sockets.connect({ host: VIP4 })));
}

/** Which backend serves a connection. */
async function nodeOf(connection: RawConnection, host: string): Promise<string> {
  await connection.send(`GET /who HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  return (JSON.parse((await connection.response()).body) as { node: string }).node;
}

/** Requests that take their time, one on each connection. */
async function askSlowly(all: readonly RawConnection[], host: string): Promise<void> {
  for (const each of all) await each.send(`GET /slow?ms=${RUNNING_MS} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
}

/** Sends SIGTERM, and returns the milliseconds until the program has ended, as it should. */
async function terminate(program: LabProgram): Promise<number> {
  const began = performance.now();
  program.kill('SIGTERM');
  expect(await program.exited).toEqual({ code: 0, signal: null });
  const ms = performance.now() - began;
  expect(ms).toBeLessThan(GRACE_MS + SLACK_MS);
  return ms;
}

function summary(outcomes: Outcomes): string {
  return `${outcomes.started} connections, ${outcomes.served} served, ${unserved(outcomes)}`;
}

test(
  'SIGTERM for a front at work: what it relays comes to its end, what it has handed off does not notice',
  async () => {
    await relayToo(cluster, { front: { timeouts: TIMEOUTS } });
    const load = await SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS });
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 2, uploads: 2 });
    const [idle, running, heads] = await Promise.all([IDLE, RUNNING, RUNNING].map(connections));
    if (idle === undefined || running === undefined || heads === undefined) throw new Error('no connections');
    for (const each of idle) await nodeOf(each, RELAYED);
    for (const each of heads) await each.send('GET /who HTTP/1.1\r\n');
    await askSlowly(running, RELAYED);
    const downloads = slow.downloads(SLOW, RELAYED, '/whole');
    const uploads = slow.uploads(SLOW, RELAYED);
    await cluster.until('all are relayed', async () => {
      const relayed = await cluster.frontMetric('baton_fallbacks_total', { reason: 'no_backend' });
      return relayed === IDLE + RUNNING + 2 * SLOW;
    });

    const terminated = terminate(cluster.front);
    await cluster.front.waitForLine('stopping', 1_000);
    // It has these heads' beginnings, and time for their ends.
    for (const each of heads) await each.send('Host: lab\r\nConnection: close\r\n\r\n');
    for (const each of heads) expect(await each.response(PATIENCE_MS)).toMatchObject({ status: 200 });
    for (const each of running) {
      const response = await each.response(PATIENCE_MS);
      expect(response).toMatchObject(LATE);
      expect(response.head).toMatch(/^connection: close/im);
    }
    for (const each of [...idle, ...running]) expect(await each.ended(PATIENCE_MS)).toBe('FIN');
    const right = { downloads: await downloads, uploads: await uploads };
    const ms = await terminated;
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    process.stdout.write(
      `  front ended ${ms.toFixed(0)} ms after SIGTERM: ${right.downloads} of ${SLOW} slow relayed downloads and ` +
        `${right.uploads} of ${SLOW} uploads right, ${RUNNING} running requests and ${RUNNING} half heads answered, ` +
        `${IDLE} idle ones closed; ${bulk.complete} of ${bulk.begun} handed-off transfers right; ${summary(outcomes)}\n`,
    );
    expect(right).toEqual({ downloads: SLOW, uploads: SLOW });
    expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
    expect(outcomes).toMatchObject({ closed: 0, wrong: 0, hung: 0, unconnected: 0 });
    expect(outcomes.reset).toBeLessThan(MOST_IN_QUEUE);

    cluster.writeFrontConfig({ timeouts: TIMEOUTS });
    await cluster.startFront();
    await cluster.allUp();
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  TIMEOUT_MS,
);

test(
  'SIGTERM for an agent at work: its requests come to their end, the other one takes what is new',
  async () => {
    const load = await SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS });
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 2, uploads: 2 });
    const [idle, running] = await Promise.all([IDLE, RUNNING].map(connections));
    if (idle === undefined || running === undefined) throw new Error('no connections');
    const nodes = await Promise.all(idle.map((each) => nodeOf(each, 'lab')));
    const [agent] = cluster.agents;
    if (agent === undefined) throw new Error('no agent');
    const handedOff = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
    await askSlowly(running, 'lab');
    const downloads = slow.downloads(2 * SLOW, 'lab', '/whole');
    const uploads = slow.uploads(2 * SLOW, 'lab');
    await cluster.until('all are handed off', async () => {
      const now = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
      return now >= handedOff + RUNNING + 4 * SLOW + RATE / 2;
    });
    const before = await cluster.agentMetric(2, 'baton_agent_adoptions_total', { result: 'ok' });

    const terminated = terminate(agent);
    for (const each of running) expect(await each.response(PATIENCE_MS)).toMatchObject(LATE);
    for (const each of idle) expect(await nodeOf(each, 'lab')).toBe('b2');
    const ms = await terminated;
    const taken = (await cluster.agentMetric(2, 'baton_agent_adoptions_total', { result: 'ok' })) - before;
    const right = { downloads: await downloads, uploads: await uploads };
    await cluster.startAgent(1);
    await cluster.allUp();
    await cluster.until(
      'it takes part again',
      async () => (await cluster.agentMetric(1, 'baton_agent_adoptions_total', { result: 'ok' })) > RATE / 4,
    );
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    const there = nodes.filter((node) => node === 'b1').length;
    process.stdout.write(
      `  agent ended ${ms.toFixed(0)} ms after SIGTERM: ${right.downloads} of ${2 * SLOW} slow downloads and ` +
        `${right.uploads} of ${2 * SLOW} uploads right, ${RUNNING} running requests answered, ${there} idle ones moved; ` +
        `the other agent took ${taken} connections meanwhile; ${bulk.complete} of ${bulk.begun} transfers right; ` +
        `${summary(outcomes)}\n`,
    );
    expect(right).toEqual({ downloads: 2 * SLOW, uploads: 2 * SLOW });
    expect(outcomes.served).toBe(outcomes.started);
    expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
    expect(there).toBeGreaterThan(0);
    expect(taken).toBeGreaterThan(RATE / 4);
    expect(await cluster.frontMetric('baton_fallbacks_total')).toBe(0);
    sockets.closeAll();
    await untilNothingLeft(cluster, descriptorsOf(cluster.front));
  },
  TIMEOUT_MS,
);
