/** A front and an agent that may have only so much memory, and clients that want more: bounded, and others are served. */
import { Cluster } from '../../../src/lab/cluster';
import { amount } from '../../soak';
import { SlowTransfers } from '../faults/slow-transfers';
import { descriptorsOf, untilNothingLeft } from '../faults/remains';
import { APP, report } from '../support';
import { Holders } from './holders';
import { MemoryLimits } from './memory-limit';
import { expectServed, startOthers } from './others';

/** Three times what a front was seen to take with these clients (59 MB), and more than an agent was (114 MB). */
const FRONT_MB = 192;
const AGENT_MB = 192;
const ALLOWED = 2_000;
const CLIENTS = amount(4_000, 20_000);
/** Of a head that does not end, nearly as much as there may be. */
const HEAD_BYTES = 15_000;
/** Downloads of 5 MiB that are read slowly, all from one agent. */
const SLOW = 24;
const TIMEOUT_MS = 120_000;

let limits: MemoryLimits;
let cluster: Cluster;
let descriptors: number;

beforeAll(async () => {
  limits = new MemoryLimits();
  cluster = await Cluster.start({
    app: APP,
    clientAddresses: 10,
    front: { limits: { connections: ALLOWED }, timeouts: { linger: '500ms', head: '60s', prepare: '10s' } },
    through: (program) =>
      program === 'b2' ? [] : limits.through(program, program === 'front' ? FRONT_MB : AGENT_MB),
  });
  descriptors = descriptorsOf(cluster.front);
}, TIMEOUT_MS);

afterAll(async () => {
  await cluster.destroy();
  limits.remove();
});

test(
  `a front with ${FRONT_MB} MB, ${CLIENTS} large heads that do not end, and ${ALLOWED} connections allowed`,
  async () => {
    const others = await startOthers(cluster);
    const evicted = (): Promise<number> =>
      cluster.frontMetric('baton_heads_refused_total', { reason: 'evicted' });
    const text = `GET /who HTTP/1.1\r\nHost: lab\r\nX: ${'x'.repeat(HEAD_BYTES)}`;
    const clients = await Holders.start(cluster.client, { count: CLIENTS, text }).held();
    await cluster.until('evictions', async () => (await evicted()) >= CLIENTS - ALLOWED, TIMEOUT_MS);
    const held = await clients.stop();
    const served = await expectServed(others);
    report(
      `front with ${FRONT_MB} MB, ${CLIENTS} heads of ${HEAD_BYTES} bytes that do not end: ${limits.peak('front').toFixed(0)} MB at ` +
        `most, killed ${limits.kills('front')} times, ${await evicted()} evicted; ${served}`,
    );
    expect(held).toMatchObject({ opened: CLIENTS, failed: 0 });
    expect(limits.kills('front')).toBe(0);
    expect(limits.peak('front')).toBeLessThan(FRONT_MB);
    await cluster.front.waitForLine('"resource":"connections"', 1000);
    await untilNothingLeft(cluster, descriptors);
    await cluster.front.waitForLine('no longer exhausted', 10_000);
  },
  TIMEOUT_MS,
);

test(
  `an agent with ${AGENT_MB} MB, and ${2 * SLOW} downloads that are read slowly`,
  async () => {
    const slow = await SlowTransfers.prepare(cluster, `${cluster.lab.host('b2').address4}:8080`);
    const others = await startOthers(cluster);
    const right = await slow.downloads(2 * SLOW, 'lab', '/bytes');
    const served = await expectServed(others);
    report(
      `agent with ${AGENT_MB} MB, ${2 * SLOW} slow downloads of 5 MiB, half of them there: ${right} right, ` +
        `${limits.peak('b1').toFixed(0)} MB at most, killed ${limits.kills('b1')} times; ${served}`,
    );
    expect(right).toBe(2 * SLOW);
    expect(limits.kills('b1')).toBe(0);
    expect(await cluster.frontMetric('baton_handoffs_total')).toBe(
      await cluster.frontMetric('baton_handoffs_total', { result: 'ok' }),
    );
    await untilNothingLeft(cluster, descriptors);
  },
  TIMEOUT_MS,
);
