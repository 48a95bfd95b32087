/** The wall clocks of the front and the agents jump for hours, both ways, at work: nobody notices. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import { VIP4 } from '../../src/lab/topology';
import { amount } from '../soak';
import { Clocks } from './clock/clocks';
import { BackgroundTransfers } from './faults/background-transfers';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { RELAYED, relayToo } from './faults/relay-too';
import { flowsOf } from './faults/remains';
import { SteadyLoad, unserved } from './faults/steady-load';
import { countsOf, curl, report } from './support';

/** Hours from the machine's clock of front, b1 and b2, one after the other; the last leaves them where they were. */
const JUMPS = [
  [5, 5, 5],
  [-7, 3, 5],
  [26, -26, 0],
  [0, 0, 0],
];
const ROUNDS = amount(1, 10);
const RATE = 100;
/** Handoffs that meet each time. */
const HANDOFFS = 60;
const HANDED_OFF = 10;
/** Likewise kept, but relayed. */
const RELAYED_TOO = 5;
const PATIENCE_MS = 10_000;
/** Passes while clocks jump by hours: a head that is late by the wall clock is late by far. */
const HEAD_MS = 4_000;
/** A client that has said something may have a second less: the front does not know when it connected. */
const HEAD_SLACK_MS = 1_100;
const IDLE_FLOW_MS = 1_500;
/** How far a clock may seem off: the Date field has whole seconds, and Node keeps one for up to another. */
const SLACK_MS = 60_000;
const HOUR_MS = 3_600_000;
const WARNING = 40;
const TIMEOUT_MS = 60_000 + ROUNDS * 30_000;

const clocks = new Clocks();
let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, 'patient-app.mjs'),
    clientAddresses: 10,
    tls: true,
    through: (program) => clocks.through(program),
  });
  sockets = await ClientSockets.start(cluster.client);
  await configure({});
}, TIMEOUT_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
  clocks.remove();
});

/** Reloads with these. */
async function configure(timeouts: Readonly<Record<string, string>>): Promise<void> {
  const health = { path: '/healthz', interval: '500ms', timeout: '400ms', rise: 1, fall: 3 };
  const all = { linger: '500ms', head: `${HEAD_MS}ms`, ...timeouts };
  await relayToo(cluster, { pool: { health }, front: { timeouts: all } });
}

/** Uploads what no other request has, and expects its checksum. */
async function upload(connection: RawConnection, host: string, text: string): Promise<void> {
  const head = `POST /sum HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${text.length}\r\n\r\n`;
  await connection.send(head + text);
  const { status, body } = await connection.response(PATIENCE_MS);
  const { sha256 } = JSON.parse(body) as { sha256: string };
  expect([status, sha256]).toEqual([200, createHash('sha256').update(text).digest('hex')]);
}

interface Clocked {
  readonly name: string;
  readonly host: Host;
  readonly port: number;
}

/** Sets the clocks and returns when each program says what time it is by its own. */
async function jump(hours: readonly number[]): Promise<void> {
  const programs: Clocked[] = [
    { name: 'front', host: cluster.frontHost, port: 9180 },
    { name: 'b1', host: cluster.lab.host('b1'), port: 9181 },
    { name: 'b2', host: cluster.lab.host('b2'), port: 9181 },
  ];
  for (const [k, { name }] of programs.entries()) clocks.jump(name, hours[k] ?? 0);
  for (const [k, { name, host, port }] of programs.entries()) {
    await cluster.until(`the clock of ${name}`, async () => {
      const answer = await curl(host, ['-i', `http://127.0.0.1:${port}/healthz`]);
      const date = Date.parse(/^date: (.*)\r$/im.exec(answer)?.[1] ?? '');
      return Math.abs(date - Date.now() - (hours[k] ?? 0) * HOUR_MS) < SLACK_MS;
    });
  }
}

function troubles(since: readonly number[]): string[] {
  return [cluster.front, ...cluster.agents].flatMap(({ lines }, k) =>
    lines.slice(since[k]).filter((line) => Number(/"level":(\d+)/.exec(line)?.[1]) >= WARNING),
  );
}

test(
  `${ROUNDS * JUMPS.length} jumps at ${RATE} connections per second cost nothing`,
  async () => {
    const load = await SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS });
    const transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 2, uploads: 2 });
    const held = await Promise.all(
      Array.from({ length: HANDED_OFF + RELAYED_TOO }, () => sockets.connect({ host: VIP4 })),
    );
    const hostOf = (k: number): string => (k < HANDED_OFF ? 'lab' : RELAYED);
    await Promise.all(held.map((connection, k) => upload(connection, hostOf(k), `first of ${k}`)));
    const lines = [cluster.front, ...cluster.agents].map((program) => program.lines.length);
    const before = await countsOf(cluster);
    let requests = 0;
    for (let round = 0; round < ROUNDS; round++) {
      for (const [at, hours] of JUMPS.entries()) {
        await jump(hours);
        const { handedOff } = await countsOf(cluster);
        await Promise.all(
          held.map((connection, k) => upload(connection, hostOf(k), `${round} ${at} ${k}`.repeat(1000))),
        );
        requests += held.length;
        await cluster.until(
          'handoffs by these clocks',
          async () => (await countsOf(cluster)).handedOff >= handedOff + HANDOFFS,
        );
      }
    }
    const after = await countsOf(cluster);
    const outcomes = await load.stop();
    const bulk = await transfers.stop();
    const attempts = await cluster.frontMetric('baton_handoffs_total');
    const handedOff = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
    const refused = await cluster.frontMetric('baton_heads_refused_total');
    report(
      `${ROUNDS * JUMPS.length} jumps of up to 52 hours: ${outcomes.started} connections, ${outcomes.served} served, ` +
        `${unserved(outcomes)}; ${bulk.complete} of ${bulk.begun} transfers right; ${requests} requests on ` +
        `${HANDED_OFF} handed-off and ${RELAYED_TOO} relayed connections that were kept; ${attempts - handedOff} of ${attempts} handoffs failed, ` +
        `${after.fallbacks - before.fallbacks} more relayed, ${refused} heads refused`,
    );
    expect(outcomes.served).toBe(outcomes.started);
    expect(bulk).toMatchObject({ failed: [], complete: bulk.begun });
    expect([attempts, after.fallbacks, refused]).toEqual([handedOff, before.fallbacks, 0]);
    // No channel was lost, no backend went down, nothing ran out of time.
    expect(troubles(lines)).toEqual([]);
    sockets.closeAll();
    await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
  },
  TIMEOUT_MS,
);

test.each([
  { way: 'forward', hours: 9 },
  { way: 'back', hours: -9 },
])(
  'what has a time limit ends when that has passed, although the clocks jump $way',
  async ({ hours }) => {
    await configure({ idle_flow: `${IDLE_FLOW_MS}ms` });
    const refused = await cluster.frontMetric('baton_heads_refused_total', { reason: 'timeout' });
    const idle = await sockets.connect({ host: VIP4 });
    await upload(idle, 'lab', 'then idle');
    const idleSince = performance.now();
    const over = await sockets.connect({ host: VIP4 });
    await upload(over, 'lab', 'then closed');
    const late = await sockets.connect({ host: VIP4 });
    await late.send('GET / HTTP/1.1\r\n');
    const lateSince = performance.now();
    // Its flow lingers from before the jump.
    over.close();
    await jump([hours, hours, hours]);

    await cluster.until('the flows are gone', async () => (await flowsOf(cluster)) === 0);
    const idleFor = performance.now() - idleSince;
    expect(await late.response(2 * HEAD_MS)).toMatchObject({ status: 408 });
    const lateAfter = performance.now() - lateSince;
    await jump([0, 0, 0]);
    report(
      `clocks ${hours} hours off: head refused after ${lateAfter.toFixed(0)} of ${HEAD_MS} ms, ` +
        `idle flow gone after ${idleFor.toFixed(0)} of ${IDLE_FLOW_MS} ms`,
    );
    expect(lateAfter).toBeGreaterThan(HEAD_MS - HEAD_SLACK_MS);
    expect(idleFor).toBeGreaterThan(IDLE_FLOW_MS);
    expect(await cluster.frontMetric('baton_heads_refused_total', { reason: 'timeout' })).toBe(refused + 1);
    sockets.closeAll();
  },
  TIMEOUT_MS,
);
