/** A kernel without memory for another socket: what is there goes on, what waits is served when there is some again. */
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { ClientSockets } from '../faults/client-sockets';
import type { RawConnection } from '../faults/raw-connection';
import { RELAYED, relayToo } from '../faults/relay-too';
import { descriptorsOf, untilNothingLeft } from '../faults/remains';
import { APP, report } from '../support';
import { Holders } from './holders';
import { expectServed, startOthers } from './others';
import { Refusals } from './refusals';

const KEPT = 6;
/** Relayed ones that wait for their answer all the time: idle ones make room as well. */
const RUNNING = 4;
const RUNNING_MS = 4_000;
/** Connections that wait for their head, and make room. */
const WAITING = 50;
/** How long the shortage lasts, in lines of the log: there is one a second. */
const LINES = 3;
const REFUSED_OFFERS = 20;
const OVER = 'no longer exhausted';
const TIMEOUT_MS = 60_000;
const PATIENCE_MS = 10_000;

let cluster: Cluster;
let sockets: ClientSockets;
let descriptors: number;
let refusals: Refusals | undefined;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, clientAddresses: 5 });
  sockets = await ClientSockets.start(cluster.client);
  await relayToo(cluster, { front: { timeouts: { linger: '500ms', head: '60s', prepare: '10s' } } });
  descriptors = descriptorsOf(cluster.front);
}, TIMEOUT_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

// Where a test has failed, the next one is not to meet its shortage.
afterEach(() => refusals?.end());

function connections(count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => sockets.connect({ host: VIP4 })));
}

async function nodeOf(connection: RawConnection): Promise<string> {
  await connection.get('/who');
  return (JSON.parse((await connection.response(PATIENCE_MS)).body) as { node: string }).node;
}

interface Line {
  readonly time: string;
  readonly msg: string;
  readonly resource?: string;
  readonly events: number;
}

/** What the front has said of a shortage of memory. */
function said(): Line[] {
  const lines = cluster.front.lines.filter((line) => line.includes('"resource":"memory"'));
  return lines.map((line) => JSON.parse(line) as Line);
}

test.each(['ENOBUFS', 'ENOMEM'])(
  'a front that gets no socket (%s)',
  async (error) => {
    const kept = await connections(KEPT);
    await Promise.all(kept.map(nodeOf));
    const running = await connections(RUNNING);
    for (const each of running) {
      await each.send(`GET /slow?ms=${RUNNING_MS} HTTP/1.1\r\nHost: ${RELAYED}\r\n\r\n`);
    }
    const waiting = await Holders.start(cluster.client, { count: WAITING, text: 'GET /' }).held();
    await cluster.until('all wait', async () => {
      const { connections } = await cluster.frontApi<{ connections: number }>('/v1/status');
      return connections === RUNNING + WAITING;
    });
    const [before, counted] = [said().length, await exhausted()];
    const evicted = await evictions();

    refusals = await Refusals.begin(cluster.frontHost, cluster.front, 'accept4', error);
    const others = await startOthers(cluster);
    let answered = 0;
    await cluster.until('some lines', async () => {
      for (const connection of kept) await nodeOf(connection);
      answered += kept.length;
      return said().length >= before + LINES;
    });
    for (const each of running) {
      expect(await each.response(PATIENCE_MS)).toMatchObject({ status: 200, body: 'late\n' });
    }
    const refused = await refusals.end();
    // Those that came meanwhile are in the listening sockets' queues.
    await cluster.until('the end of it', () => Promise.resolve(said().at(-1)?.msg === OVER));
    const served = await expectServed(others);
    const held = await waiting.stop();
    const lines = said().slice(before);
    const [over] = lines.splice(-1);
    report(
      `${refused} times ${error} for a socket: ${lines.length} lines in ${seconds(lines).toFixed(1)} s, ` +
        `${held.reset} of ${WAITING} that waited for their head closed, ${answered} requests on ${KEPT} handed-off connections and ` +
        `${RUNNING} relayed ones answered meanwhile; ${served}`,
    );
    expect((await exhausted()) - counted).toBe(refused);
    expect(over).toMatchObject({ msg: OVER, events: refused });
    expect(held.reset).toBe((await evictions()) - evicted);
    // One line a second, and one at the beginning.
    expect(lines.length).toBeLessThanOrEqual(seconds(lines) + 1.5);
    sockets.closeAll();
    await untilNothingLeft(cluster, descriptors);
  },
  TIMEOUT_MS,
);

function exhausted(): Promise<number> {
  return cluster.frontMetric('baton_exhausted_total', { resource: 'memory' });
}

function evictions(): Promise<number> {
  return cluster.frontMetric('baton_heads_refused_total', { reason: 'evicted' });
}

function seconds(lines: readonly Line[]): number {
  const [first, last] = [lines[0], lines.at(-1)].map((line) => Date.parse(line?.time ?? ''));
  return ((last ?? NaN) - (first ?? NaN)) / 1000;
}

test(
  'an agent that gets no socket rejects offers, the other one serves, and it takes part again',
  async () => {
    const [agent] = cluster.agents;
    if (agent === undefined) throw new Error('no agent');
    const rejected = (): Promise<number> =>
      cluster.frontMetric('baton_handoffs_total', { backend: 'b1', result: 'rejected' });
    const fallbacks = await cluster.frontMetric('baton_fallbacks_total');
    refusals = await Refusals.begin(cluster.lab.host('b1'), agent, 'socket', 'ENOBUFS');
    const others = await startOthers(cluster);
    await cluster.until('rejected offers', async () => (await rejected()) >= REFUSED_OFFERS);
    const refused = await refusals.end();
    const served = await expectServed(others);
    const line = await agent.waitForLine(/"reason":"exhausted"/, 1000);
    expect(line).toContain('this host has no memory for another connection');
    const count = await rejected();

    const nodes = [];
    for (const connection of await connections(4)) nodes.push(await nodeOf(connection));
    report(
      `agent without sockets, ${refused} times ENOBUFS: ${count} offers rejected; ${served}; then ${nodes.join(' ')}`,
    );
    expect(nodes.sort()).toEqual(['b1', 'b1', 'b2', 'b2']);
    expect([await rejected(), await cluster.frontMetric('baton_fallbacks_total')]).toEqual([
      count,
      fallbacks,
    ]);
    sockets.closeAll();
    await untilNothingLeft(cluster, descriptors);
  },
  TIMEOUT_MS,
);
