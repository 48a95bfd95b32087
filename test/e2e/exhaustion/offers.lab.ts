/** Agents that do not answer, or do not even read: what the front keeps for them is bounded, and others are served. */
import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import type { LabProcess } from '../../../src/lab/lab-process';
import { amount } from '../../soak';
import { descriptorsOf, untilNothingLeft } from '../faults/remains';
import { APP, report } from '../support';
import { Holders } from './holders';
import { forgetPeak, peakMemory } from './memory';
import { expectServed, startOthers } from './others';

const FAKE_AGENT = join(__dirname, '../fake-agent.cjs');
/** What the fake agent says it takes at once. */
const MOST_OFFERS = 64;
const BURST = amount(400, 4_000);
const LARGE_HEADS = amount(800, 5_000);
const HEAD_BYTES = 50_000;
/** What a channel lets wait, and the kernel's buffers at both ends with the offers of one turn. */
const MOST_UNREAD_MB = 16 + 8;
/** The same, and the ups and downs of a heap; it does not grow with the number of heads. */
const MOST_GROWTH_MB = 250;
const TIMEOUT_MS = 120_000;

const request = (padding: number): string =>
  `GET /who HTTP/1.1\r\nHost: lab\r\nConnection: close\r\nX: ${'x'.repeat(padding)}\r\n\r\n`;

let cluster: Cluster;
let fake: LabProcess;
let descriptors: number;

afterEach(() => cluster.destroy());

/** A cluster whose first agent is a fake one; `prepare` is the time that it has for an answer. */
async function start(mode: string, prepare: string, backends: readonly number[]): Promise<void> {
  // Node takes heads of 16 KiB by default.
  const through = (): readonly string[] => ['env', 'NODE_OPTIONS=--max-http-header-size=65536'];
  cluster = await Cluster.start({ app: APP, clientAddresses: 5, through });
  const { address4 } = cluster.lab.host('b1');
  // Small buffers on the way, so that what the front keeps is what counts.
  const small = '4096 65536 131072';
  for (const host of [cluster.lab.host('b1'), cluster.frontHost]) {
    await host.run(['sysctl', '-qw', `net.ipv4.tcp_rmem=${small}`, `net.ipv4.tcp_wmem=${small}`]);
  }
  await cluster.agents[0]?.stop();
  fake = cluster.lab.host('b1').spawn([process.execPath, FAKE_AGENT, address4, '7400', mode]);
  await fake.waitForLine('fake agent is listening', 10_000);
  await cluster.front.stop();
  const http = `${cluster.lab.host('b2').address4}:8080`;
  cluster.writeFrontConfig({
    timeouts: { linger: '500ms', prepare },
    limits: { head_bytes: 65_536 },
    pools: { web: { backends: backends.map((k) => ({ ...cluster.backend(k), http })) } },
  });
  await cluster.startFront();
  await cluster.until(
    'channels',
    async () => (await cluster.frontMetric('baton_backend_up')) === backends.length,
  );
  descriptors = descriptorsOf(cluster.front);
}

async function offers(): Promise<number> {
  return (await cluster.frontApi<{ offers: number }>('/v1/status')).offers;
}

test(
  `an agent that answers no offer, and a burst of ${BURST}: the rest is relayed at once`,
  async () => {
    await start('mute', '4s', [1]);
    const burst = await Holders.start(cluster.client, { count: BURST, text: request(0) }).held();
    await cluster.until('the limit of offers', async () => (await offers()) === MOST_OFFERS);
    const line = await cluster.front.waitForLine('"resource":"offers"', 5000);
    expect(line).toMatch(/as many offers unanswered as it takes/);
    await cluster.until('all offers to have run out of time', async () => (await offers()) === 0);
    await burst.answered();

    const held = await burst.stop();
    const counted = await cluster.frontMetric('baton_exhausted_total', { resource: 'offers' });
    const timeouts = await cluster.frontMetric('baton_handoffs_total', { result: 'timeout' });
    const refused = await cluster.frontMetric('baton_fallbacks_total', { reason: 'all_refused' });
    report(
      `mute agent, ${BURST} connections: ${timeouts} offers timed out, ${counted} not even offered, ` +
        `${held.answers['HTTP/1.1 200'] ?? 0} answered`,
    );
    expect(held).toMatchObject({ opened: BURST, failed: 0, reset: 0, answers: { 'HTTP/1.1 200': BURST } });
    expect([timeouts, refused]).toEqual([MOST_OFFERS, MOST_OFFERS]);
    expect(counted).toBe(BURST - MOST_OFFERS);
    await untilNothingLeft(cluster, descriptors, [2]);
  },
  TIMEOUT_MS,
);

test(
  `an agent that does not read, and ${LARGE_HEADS} large heads: bounded memory, the other agent serves`,
  async () => {
    await start('deaf', '3s', [1, 2]);
    const others = await startOthers(cluster);
    forgetPeak(cluster.front);
    const before = peakMemory(cluster.front);
    const clients = Holders.start(cluster.client, {
      count: LARGE_HEADS,
      text: request(HEAD_BYTES),
      parallel: 400,
    });
    await clients.answered();
    const growth = peakMemory(cluster.front) - before;
    const held = await clients.stop();
    const served = await expectServed(others);
    const timeouts = await cluster.frontMetric('baton_handoffs_total', { backend: 'b1', result: 'timeout' });
    const unread = (timeouts * HEAD_BYTES) / 2 ** 20;
    report(
      `agent that does not read, ${LARGE_HEADS} heads of ${HEAD_BYTES} bytes: ${timeouts} offers unread, ${unread.toFixed(1)} MB, ` +
        `${growth.toFixed(0)} MB more memory at most, ${held.answers['HTTP/1.1 200'] ?? 0} answered; ${served}`,
    );
    expect(held).toMatchObject({ failed: 0, reset: 0, answers: { 'HTTP/1.1 200': LARGE_HEADS } });
    expect(growth).toBeLessThan(MOST_GROWTH_MB);
    expect(unread).toBeGreaterThan(1);
    expect(unread).toBeLessThan(MOST_UNREAD_MB);
    await untilNothingLeft(cluster, descriptors, [2]);
  },
  TIMEOUT_MS,
);
