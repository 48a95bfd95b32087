import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import type { LabProcess, LabProgram } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { descriptorsOf, untilNothingLeft } from './faults/remains';

/** Agents that die, hang or misbehave: no client may notice more than a delay. */

const APP = join(__dirname, 'app.mjs');
const FAKE_AGENT = join(__dirname, 'fake-agent.cjs');
const CLIENTS = 50;
/** Long enough to kill an agent well before it, also on a busy machine. */
const PREPARE_MS = 2_000;

let cluster: Cluster;
let sockets: ClientSockets;
let descriptors: number;

async function start(options: Partial<Parameters<typeof Cluster.start>[0]> = {}): Promise<void> {
  const timeouts = { linger: '500ms', prepare: `${PREPARE_MS}ms` };
  cluster = await Cluster.start({ app: APP, front: { timeouts }, ...options });
  sockets = await ClientSockets.start(cluster.client);
  descriptors = descriptorsOf(cluster.front);
}

async function stop(): Promise<void> {
  await sockets.stop();
  await cluster.destroy();
}

/** New connections, each with one request under way. */
async function ask(count: number): Promise<RawConnection[]> {
  const connections = await Promise.all(Array.from({ length: count }, () => sockets.connect({ host: VIP4 })));
  await Promise.all(connections.map((connection) => connection.get('/who')));
  return connections;
}

async function nodeOf(connection: RawConnection): Promise<string> {
  const { status, body } = await connection.response();
  if (status !== 200) throw new Error(`status ${status}: ${body}`);
  return (JSON.parse(body) as { node: string }).node;
}

/** How many connections each node answered. */
async function answers(connections: readonly RawConnection[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const node of await Promise.all(connections.map(nodeOf))) counts[node] = (counts[node] ?? 0) + 1;
  return counts;
}

function results(backend: string, result: string): Promise<number> {
  return cluster.frontMetric('baton_handoffs_total', { backend, result });
}

async function offers(): Promise<number> {
  return (await cluster.frontApi<{ offers: number }>('/v1/status')).offers;
}

async function stateOf(name: string): Promise<{ state: string; cause: string }> {
  const { backends } = await cluster.frontApi<{ backends: { name: string; state: string; cause: string }[] }>(
    '/v1/backends',
  );
  const found = backends.find((backend) => backend.name === name);
  if (found === undefined) throw new Error(`no backend ${name}`);
  return found;
}

function agent(k: number): LabProgram {
  const found = cluster.agents[k - 1];
  if (found === undefined) throw new Error(`no agent ${k}`);
  return found;
}

function closeAll(connections: readonly RawConnection[]): void {
  for (const connection of connections) connection.close();
}

describe('an agent that dies or hangs', () => {
  beforeAll(() => start(), 30_000);
  afterAll(() => stop());

  test('with offers unanswered, then killed: the other backend serves all at once', async () => {
    agent(1).kill('SIGSTOP');
    const connections = await ask(CLIENTS);
    await cluster.until('offers wait for the stopped agent', async () => (await offers()) === CLIENTS / 2);
    const killedAt = performance.now();
    agent(1).kill('SIGKILL');

    expect(await answers(connections)).toEqual({ b2: CLIENTS });
    const ms = performance.now() - killedAt;
    expect(ms).toBeLessThan(PREPARE_MS);
    expect(await results('b1', 'channel_lost')).toBe(CLIENTS / 2);
    expect(await results('b1', 'timeout')).toBe(0);
    process.stdout.write(`  killed between OFFER and COMMIT: ${CLIENTS} served, ${ms.toFixed(0)} ms later\n`);
    closeAll(connections);
    await untilNothingLeft(cluster, descriptors, [2]);
  }, 30_000);

  test('and is killed when idle: down within 200 ms, and the other gets everything', async () => {
    await cluster.startAgent(1);
    await cluster.allUp();
    const killedAt = performance.now();
    agent(1).kill('SIGKILL');
    await cluster.until('b1 is down', async () => (await stateOf('b1')).state === 'down');
    const ms = performance.now() - killedAt;
    expect(ms).toBeLessThan(200);
    const connections = await ask(20);
    expect(await answers(connections)).toEqual({ b2: 20 });
    expect(cluster.front.lines.some((line) => line.includes('control channel is down'))).toBe(true);
    process.stdout.write(`  killed when idle: down after ${ms.toFixed(0)} ms\n`);
    closeAll(connections);
  }, 30_000);

  test('for longer than the prepare timeout: the other serves, and nothing is doubled when it wakes up', async () => {
    await cluster.startAgent(1);
    await cluster.allUp();
    agent(1).kill('SIGSTOP');
    const connections = await ask(CLIENTS);
    expect(await answers(connections)).toEqual({ b2: CLIENTS });
    expect(await results('b1', 'timeout')).toBe(CLIENTS / 2);
    agent(1).kill('SIGCONT');

    await cluster.until('withdrawn offers are void', async () => {
      const { adoptions } = await cluster.agentApi<{ adoptions: Record<string, number> }>(1, '/v1/status');
      expect(adoptions.ok).toBe(0);
      return adoptions.aborted === CLIENTS / 2;
    });
    await Promise.all(connections.map((connection) => connection.get('/who')));
    expect(await answers(connections)).toEqual({ b2: CLIENTS });
    expect(connections.map(({ text }) => text)).toEqual(connections.map(() => ''));
    process.stdout.write(
      `  woken up: ${CLIENTS / 2} offers void, ${CLIENTS} connections answered twice by b2\n`,
    );
    closeAll(connections);
    await untilNothingLeft(cluster, descriptors);
  }, 30_000);

  test.each(['reset', 'close', 'finish'] as const)(
    'while the client does %s: nothing is left of it',
    async (end) => {
      const stopped = [1, 2].map(agent);
      for (const one of stopped) one.kill('SIGSTOP');
      const connections = await ask(20);
      await cluster.until('all are offered', async () => (await offers()) === connections.length);
      for (const connection of connections) connection[end]();
      for (const one of stopped) one.kill('SIGCONT');
      // Who has only said that nothing more will come still wants the answer.
      if (end === 'finish') {
        await answers(connections);
        expect(await Promise.all(connections.map((connection) => connection.ended()))).not.toContain('RST');
      }
      await untilNothingLeft(cluster, descriptors);
    },
    30_000,
  );
});

describe('a backend that refuses', () => {
  beforeAll(() => start({ agent: (k) => (k === 1 ? { vips: ['198.19.0.9'] } : {}) }), 30_000);
  afterAll(() => stop());

  test('because the VIP is not one of its own: the next one serves', async () => {
    const connections = await ask(CLIENTS);
    expect(await answers(connections)).toEqual({ b2: CLIENTS });
    const rejected = await results('b1', 'rejected');
    expect(rejected).toBe(CLIENTS / 2);
    expect(await results('b2', 'ok')).toBe(CLIENTS);
    await cluster.front.waitForLine(/"offer rejected"/, 1_000);
    expect(cluster.front.lines.join()).toContain('"reason":"vip_not_allowed"');
    process.stdout.write(`  VIP not allowed: ${rejected} of ${CLIENTS} offers rejected, all served\n`);
    closeAll(connections);
    await untilNothingLeft(cluster, descriptors);
  }, 30_000);
});

describe('an agent that does not keep to the protocol', () => {
  let fake: LabProcess | undefined;

  beforeAll(async () => {
    await start();
    await agent(1).stop();
  }, 30_000);

  afterEach(() => fake?.stop());
  afterAll(() => stop());

  async function startFake(mode: string): Promise<LabProcess> {
    const host = cluster.lab.host('b1');
    fake = host.spawn([process.execPath, FAKE_AGENT, host.address4, '7400', mode]);
    await fake.waitForLine('fake agent is listening', 10_000);
    return fake;
  }

  test('rejects everything: every client is served by the other', async () => {
    const rejecting = await startFake('reject');
    await Promise.all([
      rejecting.waitForLine('hello from offers', 10_000),
      rejecting.waitForLine('hello from keeper', 10_000),
    ]);
    await cluster.until('b1 is up', async () => (await stateOf('b1')).state === 'up');
    const connections = await ask(CLIENTS);
    expect(await answers(connections)).toEqual({ b2: CLIENTS });
    expect(await results('b1', 'rejected')).toBe(rejecting.lines.filter((line) => line === 'offer').length);
    expect(await results('b1', 'rejected')).toBe(CLIENTS / 2);
    closeAll(connections);
    await untilNothingLeft(cluster, descriptors, [2]);
  }, 30_000);

  test.each(['die', 'forget'])(
    'takes connections and does not read their COMMIT (%s): nobody is left waiting',
    async (mode) => {
      const vanishing = await startFake(mode);
      await Promise.all([
        vanishing.waitForLine('hello from offers', 10_000),
        vanishing.waitForLine('hello from keeper', 10_000),
      ]);
      await cluster.until('b1 is up', async () => (await stateOf('b1')).state === 'up');
      const before = await results('b1', 'ok');
      const connections = await ask(CLIENTS);
      const ends = await Promise.all(
        connections.map((connection) => nodeOf(connection).catch(() => connection.ended())),
      );
      const count = (end: string): number => ends.filter((each) => each === end).length;
      const committed = (await results('b1', 'ok')) - before;
      process.stdout.write(
        `  COMMIT unread (${mode}): of ${CLIENTS} connections ${committed} were committed, ` +
          `${count('b2')} served by the other backend, ${count('RST')} reset, 0 left waiting\n`,
      );
      expect(committed).toBeGreaterThanOrEqual(CLIENTS / 5);
      expect(count('b2') + count('RST')).toBe(CLIENTS);
      expect(count('RST')).toBe(committed);
      closeAll(connections);
      // An agent that is there again says what lives: nothing of this.
      vanishing.kill('SIGKILL');
      await vanishing.exited;
      await cluster.startAgent(1);
      await untilNothingLeft(cluster, descriptors, [2]);
      await agent(1).stop();
    },
    30_000,
  );

  test('answers an offer with garbage: the offer goes to the other', async () => {
    const babbling = await startFake('late-garbage');
    await Promise.all([
      babbling.waitForLine('hello from offers', 10_000),
      babbling.waitForLine('hello from keeper', 10_000),
    ]);
    const connections = await ask(10);
    expect(await answers(connections)).toEqual({ b2: 10 });
    expect(await results('b1', 'channel_lost')).toBeGreaterThan(0);
    closeAll(connections);
    await untilNothingLeft(cluster, descriptors, [2]);
  }, 30_000);

  test.each([
    { mode: 'garbage', cause: 'protocol error: unknown frame type' },
    { mode: 'silent', cause: 'no hello within' },
    { mode: 'version', cause: 'no common version' },
  ])(
    'greets with $mode: down, said why, and nobody waits for it',
    async ({ mode, cause }) => {
      const before = cluster.front.lines.length;
      const odd = await startFake(mode);
      await odd.waitForLine('channel', 10_000);
      await cluster.until(`cause "${cause}"`, async () => (await stateOf('b1')).cause.includes(cause));
      expect((await stateOf('b1')).state).toBe('down');
      const begin = performance.now();
      const connections = await ask(10);
      expect(await answers(connections)).toEqual({ b2: 10 });
      expect(performance.now() - begin).toBeLessThan(PREPARE_MS);
      closeAll(connections);
      const said = cluster.front.lines.slice(before).filter((line) => line.includes(cause));
      expect(said.length).toBeGreaterThan(0);
    },
    30_000,
  );
});
