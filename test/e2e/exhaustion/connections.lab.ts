/** Clients that open connections and send no head, or send one very slowly. */
import { Cluster } from '../../../src/lab/cluster';
import { amount } from '../../soak';
import { descriptorsOf, untilNothingLeft } from '../faults/remains';
import { APP, cpuSeconds, report } from '../support';
import { Holders } from './holders';
import { peakMemory, forgetPeak } from './memory';
import { expectServed, startOthers } from './others';

const IDLE = amount(10_000, 50_000);
/** In a soak: what 20,000 files leave to clients, on hosts that allow no more. */
const LIMIT = amount(4_000, 17_500);
const SLOW = 1_000;
const HEAD_MS = 6_000;
const OCTETS_PER_HEAD = 15_900;
const HOSTILE = amount(8, 100);
/** Reading such a head anew at each octet takes some 250 ms. */
const MOST_CPU_MS = 200;
const TIMEOUT_MS = amount(120_000, 300_000);

let cluster: Cluster;
let descriptors: number;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, clientAddresses: 10, front: settings('120s') });
  descriptors = descriptorsOf(cluster.front);
}, TIMEOUT_MS);

afterAll(() => cluster.destroy());

function settings(head: string): Record<string, unknown> {
  return { limits: { connections: LIMIT }, timeouts: { linger: '500ms', prepare: '10s', head } };
}

function refused(reason: string): Promise<number> {
  return cluster.frontMetric('baton_heads_refused_total', { reason });
}

test(
  `${IDLE} connections that never send a head, ${LIMIT} allowed`,
  async () => {
    const others = await startOthers(cluster);
    forgetPeak(cluster.front);
    const [memory, cpu] = [peakMemory(cluster.front), cpuSeconds(cluster.front.pid)];
    const idle = await Holders.start(cluster.client, { count: IDLE }).held();
    // The kernel keeps those to itself that say nothing, for a second or so, and passes on what it has room for.
    await cluster.until('evictions', async () => (await refused('evicted')) >= IDLE - LIMIT, TIMEOUT_MS);
    const { connections } = await cluster.frontApi<{ connections: number }>('/v1/status');
    const spent = cpuSeconds(cluster.front.pid) - cpu;
    const growth = peakMemory(cluster.front) - memory;
    const held = await idle.stop();
    const served = await expectServed(others);
    const evicted = await refused('evicted');
    report(
      `${IDLE} idle connections, ${LIMIT} allowed: ${connections} held, ${evicted} evicted, ` +
        `${((spent / IDLE) * 1e6).toFixed(0)} µs of CPU each, ${growth.toFixed(0)} MB more memory; ${served}`,
    );
    expect(held).toMatchObject({ opened: IDLE, failed: 0 });
    expect(connections).toBeLessThanOrEqual(LIMIT);
    expect(evicted).toBeGreaterThanOrEqual(held.reset);
    await cluster.front.waitForLine('"resource":"connections"', 1000);
    await untilNothingLeft(cluster, descriptors);
    await cluster.front.waitForLine('no longer exhausted', 10_000);
  },
  TIMEOUT_MS,
);

test(
  `${SLOW} slow heads, an octet per second: in time they are answered, too late they are refused`,
  async () => {
    cluster.writeFrontConfig(settings(`${HEAD_MS}ms`));
    cluster.front.kill('SIGHUP');
    await cluster.front.waitForLine('configuration reloaded', 10_000);
    const others = await startOthers(cluster);
    const cpu = cpuSeconds(cluster.front.pid);
    const [late, timeouts] = await Promise.all([refused('timeout'), refused('evicted')]);
    const text = 'GET /healthz HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n';
    const inTime = Holders.start(cluster.client, { count: SLOW / 2, text, drip: '\r\n', dripMs: 1000 });
    const tooLate = Holders.start(cluster.client, {
      count: SLOW / 2,
      text,
      drip: 'X-Slow: abcdef\r\n\r\n',
      dripMs: 1000,
    });
    await Promise.all([inTime.answered(), tooLate.answered()]);
    const spent = cpuSeconds(cluster.front.pid) - cpu;
    const [fast, slow] = await Promise.all([inTime.stop(), tooLate.stop()]);
    const served = await expectServed(others);
    report(
      `${SLOW} heads at an octet per second: ${fast.answers['HTTP/1.1 200'] ?? 0} in time and answered, ` +
        `${slow.answers['HTTP/1.1 408'] ?? 0} too late and refused, ${((spent / SLOW) * 1e3).toFixed(2)} ms of CPU each; ${served}`,
    );
    expect(fast.answers).toEqual({ 'HTTP/1.1 200': SLOW / 2 });
    expect(slow.answers).toEqual({ 'HTTP/1.1 408': SLOW / 2 });
    expect([await refused('timeout'), await refused('evicted')]).toEqual([late + SLOW / 2, timeouts]);
    await untilNothingLeft(cluster, descriptors);
  },
  TIMEOUT_MS,
);

test(
  `${HOSTILE} heads of ${OCTETS_PER_HEAD} octets, each octet in a packet of its own, cost little`,
  async () => {
    cluster.writeFrontConfig(settings('120s'));
    const reloaded = cluster.front.lines.length;
    cluster.front.kill('SIGHUP');
    await cluster.until('a reload', () =>
      Promise.resolve(
        cluster.front.lines.slice(reloaded).some((line) => line.includes('configuration reloaded')),
      ),
    );
    const others = await startOthers(cluster);
    const cpu = cpuSeconds(cluster.front.pid);
    const drip = `GET /healthz HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nX: ${'x'.repeat(OCTETS_PER_HEAD)}\r\n\r\n`;
    const hostile = await Holders.start(cluster.client, { count: HOSTILE, drip }).answered();
    const each = ((cpuSeconds(cluster.front.pid) - cpu) / HOSTILE) * 1000;
    const held = await hostile.stop();
    const served = await expectServed(others);
    report(
      `${HOSTILE} heads of ${drip.length} packets: ${each.toFixed(0)} ms of CPU each, ` +
        `${((each * 1000) / drip.length).toFixed(1)} µs a packet, steering and others included; ${served}`,
    );
    expect(held.answers).toEqual({ 'HTTP/1.1 200': HOSTILE });
    expect(each).toBeLessThan(MOST_CPU_MS);
    await untilNothingLeft(cluster, descriptors);
  },
  TIMEOUT_MS,
);
