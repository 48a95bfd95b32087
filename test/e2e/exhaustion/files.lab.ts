/** Few descriptors: others are served while they are short, and all is as before when they are not. */
import { readdirSync } from 'node:fs';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { amount } from '../../soak';
import { ClientSockets } from '../faults/client-sockets';
import { descriptorsOf, untilNothingLeft } from '../faults/remains';
import { APP, report } from '../support';
import { Holders } from './holders';
import { expectServed, startOthers } from './others';

const FRONT_FILES = 512;
/** What unreserved() leaves to clients. */
const FRONT_ROOM = 384;
const AGENT_FILES = 256;
const IDLE = amount(1_500, 12_000);
const LIVE = amount(300, 600);
const TIMEOUT_MS = 120_000;

const fewFiles = (count: number): readonly string[] => ['prlimit', `--nofile=${count}:${count}`];

describe('a front with few descriptors', () => {
  let cluster: Cluster;
  let descriptors: number;

  beforeAll(async () => {
    cluster = await Cluster.start({
      app: APP,
      clientAddresses: 5,
      front: { timeouts: { linger: '500ms', head: '60s', prepare: '10s' } },
      through: (program) => (program === 'front' ? fewFiles(FRONT_FILES) : []),
    });
    descriptors = descriptorsOf(cluster.front);
  }, TIMEOUT_MS);

  afterAll(() => cluster.destroy());

  test(
    `and ${IDLE} connections that never send a head`,
    async () => {
      const others = await startOthers(cluster);
      const idle = await Holders.start(cluster.client, { count: IDLE, text: 'GET /' }).held();
      await cluster.until('all are accepted', async () => (await evicted()) >= IDLE - FRONT_ROOM);
      const most = descriptorsOf(cluster.front);
      // Channels have descriptors of their own: an agent that comes now is taken in.
      await cluster.agents[0]?.stop();
      await cluster.startAgent(1);
      await cluster.allUp();
      const line = await cluster.front.waitForLine('"resource":"connections"', 1000);
      expect(line).toMatch(/"limits":{"connections":384,"files":384}.*the limit of open files/);

      const result = await idle.stop();
      await cluster.front.waitForLine('no longer exhausted', 10_000);
      const served = await expectServed(others);
      const counted =
        (await cluster.frontMetric('baton_exhausted_total', { resource: 'connections' })) +
        (await cluster.frontMetric('baton_exhausted_total', { resource: 'files' }));
      report(
        `${FRONT_FILES} files, ${IDLE} idle connections: ${most} descriptors, ${result.reset} evicted, ` +
          `${counted} counted, an agent restarted meanwhile; ${served}`,
      );
      expect(result.opened).toBe(IDLE);
      expect(result.reset).toBe(await evicted());
      expect(counted).toBeGreaterThanOrEqual(result.reset);
      expect(most).toBeLessThan(FRONT_FILES - 64);
      expect(await cluster.frontMetric('baton_fallbacks_total')).toBe(0);
      await untilNothingLeft(cluster, descriptors);
    },
    TIMEOUT_MS,
  );

  function evicted(): Promise<number> {
    return cluster.frontMetric('baton_heads_refused_total', { reason: 'evicted' });
  }
});

describe('an agent with few descriptors', () => {
  let cluster: Cluster;
  let sockets: ClientSockets;
  let descriptors: number;

  beforeAll(async () => {
    cluster = await Cluster.start({
      app: APP,
      through: (program) => (program === 'b1' ? fewFiles(AGENT_FILES) : []),
    });
    sockets = await ClientSockets.start(cluster.client);
    descriptors = descriptorsOf(cluster.front);
  }, TIMEOUT_MS);

  afterAll(async () => {
    await sockets.stop();
    await cluster.destroy();
  });

  test(
    `and ${LIVE} live connections: what it rejects the other one serves, and it takes part again`,
    async () => {
      const others = await startOthers(cluster);
      const first = await live(LIVE);
      const share = agentDescriptors(1);
      const rejected = await cluster.frontMetric('baton_handoffs_total', {
        backend: 'b1',
        result: 'rejected',
      });
      expect(rejected).toBeGreaterThan(0);
      expect(first.b1).toBeLessThan(AGENT_FILES / 2);
      expect((first.b1 ?? 0) + (first.b2 ?? 0)).toBe(LIVE);
      expect(await cluster.frontMetric('baton_fallbacks_total')).toBe(0);
      await cluster.front.waitForLine(/"reason":"exhausted"/, 1000);
      const said = await cluster.agents[0]?.waitForLine(/"reason":"exhausted"/, 1000);
      expect(said).toContain('raise the limit of open files of this agent');

      const served = await expectServed(others);
      sockets.closeAll();
      await untilNothingLeft(cluster, descriptors);
      const again = await live(40);
      report(
        `agent with ${AGENT_FILES} files, ${LIVE} live connections: ${share} descriptors, ${first.b1} there, ` +
          `${first.b2} at the other, ${rejected} rejected, none relayed; again ${again.b1} of 40; ${served}`,
      );
      expect(again).toEqual({ b1: 20, b2: 20 });
      sockets.closeAll();
      await untilNothingLeft(cluster, descriptors);
    },
    TIMEOUT_MS,
  );

  function agentDescriptors(k: number): number {
    return readdirSync(`/proc/${cluster.agents[k - 1]?.pid}/fd`).length;
  }

  /** Opens connections that stay, and returns how many each node answered. */
  async function live(count: number): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (let k = 0; k < count; k++) {
      const connection = await sockets.connect({ host: VIP4 });
      await connection.get('/who');
      const { node } = JSON.parse((await connection.response()).body) as { node: string };
      counts[node] = (counts[node] ?? 0) + 1;
    }
    return counts;
  }
});
