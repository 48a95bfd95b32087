/**
 * An agent that is alone passes its connections to its successor (SIGUSR2): nothing can be moved elsewhere, and no client notices.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import type { LabProcess, LabProgram } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';
import { amount } from '../soak';
import { Asking, expectNothingLost } from './asking';
import { adoptedBy } from './exhaustion/holders';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { SteadyLoad, unserved } from './faults/steady-load';
import { APP, percentiles, report } from './support';

const RESTARTS = amount(3, 30);
const TIMEOUT_MS = 120_000 + RESTARTS * 10_000;
const EXIT_TIMEOUT_MS = 60_000;
const CONFIG = join(__dirname, '../../config');
const SESSION = join(__dirname, 'clients/session.mjs');
/** Of the listeners beside the first, whose connections are judged. */
const [PLAIN_PORT, CHAT_PORT, ECHO_PORT] = [81, 82, 7000];
const JUDGED = 100;
const PLAIN = 40;
const RATE = 40;
const PATIENCE_MS = 15_000;
const [DOWNLOAD_BYTES, DOWNLOAD_RATE] = [24 * 2 ** 20, '2M'];

/** Two restarts take less. */
const SLOW_MS = 6000;

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: '',
    clientAddresses: 4,
    backends: 2,
    agent: (k, { lab }) => ({
      serve: {
        app: k === 1 ? APP : join(CONFIG, 'chat.mjs'),
        listen: `${lab.host(`b${k}`).address4}:8080`,
        tcp: join(CONFIG, 'echo.mjs'),
      },
    }),
    // Each pool has one backend.
    front: (of) => ({
      listeners: [
        { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
        { name: 'plain', bind: `${VIP4}:${PLAIN_PORT}`, protocol: 'http', routing: 'per-connection' },
        { name: 'chat', bind: `${VIP4}:${CHAT_PORT}`, protocol: 'http' },
        { name: 'echo', bind: `${VIP4}:${ECHO_PORT}`, protocol: 'tcp' },
      ],
      routes: [
        { match: { listener: ['echo'] }, pool: 'echo' },
        { match: { listener: ['chat'] }, pool: 'chat' },
        { match: { path_prefix: '/secret' }, deny: { status: 403 } },
        { pool: 'web' },
      ],
      pools: {
        web: { backends: [of.backend(1)] },
        echo: { fallback: 'refuse', backends: [of.backend(1)] },
        chat: { backends: [of.backend(2)] },
      },
    }),
  });
  sockets = await ClientSockets.start(cluster.client);
}, TIMEOUT_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

interface Session {
  readonly said: number;
  readonly wrong: readonly string[];
  readonly ms: readonly number[];
}

async function talk(kind: 'echo' | 'chat', port: number): Promise<LabProcess> {
  const options = { kind, address: VIP4, port, pauseMs: [0, 30] };
  const argv = [process.execPath, SESSION, JSON.stringify(options)];
  const session = cluster.client.spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  await session.waitForLine('talking', TIMEOUT_MS);
  return session;
}

async function hangUp(session: LabProcess): Promise<Session> {
  session.endInput();
  return JSON.parse(await session.waitForLine('"said"', TIMEOUT_MS)) as Session;
}

/** A client that is slow to read; resolves with the checksum of what it got. */
async function download(address: string): Promise<string> {
  const url = `http://${address}/bytes?n=${DOWNLOAD_BYTES}&seed=7`;
  const script = `curl -sS ${address === VIP4 ? `--limit-rate ${DOWNLOAD_RATE}` : ''} '${url}' | sha256sum`;
  return (await cluster.client.run(['sh', '-c', script], { timeoutMs: TIMEOUT_MS })).stdout;
}

const origin = (): string => `${cluster.lab.host('b1').address4}:8080`;

/** Connections that the present agents of both backends have. */
async function adopted(): Promise<number> {
  const counts = await adoptedBy(cluster);
  return counts.reduce((sum, each) => sum + each, 0);
}

async function gone(program: LabProgram): Promise<void> {
  let exited = false;
  void program.exited.then(() => (exited = true));
  await cluster.until('the end of the agent before', () => Promise.resolve(exited), EXIT_TIMEOUT_MS);
}

test(
  `${RESTARTS} restarts of an agent that is alone, while its clients go on`,
  async () => {
    const wanted = await download(origin());
    const judged = await Asking.start(cluster.client, { count: JUDGED, pauseMs: [0, 300], bodyEvery: 5 });
    const plain = await Asking.start(cluster.client, {
      count: PLAIN,
      port: PLAIN_PORT,
      pauseMs: [0, 300],
      bodyEvery: 5,
    });
    const echo = await talk('echo', ECHO_PORT);
    const chat = await talk('chat', CHAT_PORT);
    const downloading = download(VIP4);
    await cluster.until('all are adopted', async () => (await adopted()) === JUDGED + PLAIN + 3);
    const load = await SteadyLoad.start(cluster.client, { rate: RATE, patienceMs: PATIENCE_MS });
    const retired: LabProgram[] = [];
    const ms: number[] = [];
    for (let k = 0; k < RESTARTS; k++) {
      for (const backend of [1, 2]) {
        const began = performance.now();
        retired.push(await cluster.restartAgent(backend));
        ms.push(performance.now() - began);
      }
      await cluster.until(
        'all but the download have been passed',
        async () => (await adopted()) >= JUDGED + PLAIN + 2,
      );
    }
    const outcomes = await load.stop();
    const relayed = await cluster.frontMetric('baton_fallbacks_total');
    expect(await downloading).toBe(wanted);
    for (const each of retired) await gone(each);
    const { flows } = await cluster.frontApi<{ flows: { moves: unknown[] }[] }>('/v1/flows?limit=10000');
    expect(flows.length).toBeGreaterThan(JUDGED + PLAIN);
    expect(flows.filter(({ moves }) => moves.length > 0)).toEqual([]);
    const [said, chatted] = [await hangUp(echo), await hangUp(chat)];
    const [asked, askedPlainly] = [await judged.stop(), await plain.stop()];
    report(
      `${ms.length} agents succeeded, in ${percentiles(ms)} until the successor serves; ` +
        `judged: ${asked.requests} requests in ${percentiles(asked.ms)}; plain: ${askedPlainly.requests} in ${percentiles(askedPlainly.ms)}`,
    );
    report(
      `sessions: ${said.said} and ${chatted.said} words in ${percentiles([...said.ms, ...chatted.ms])}; new connections: ` +
        `${outcomes.started}, ${outcomes.served} served (${relayed} relayed), ${unserved(outcomes)}, in ${outcomes.max.toFixed(0)} ms at most`,
    );
    expectNothingLost(asked, JUDGED);
    expectNothingLost(askedPlainly, PLAIN);
    expect([said.wrong, chatted.wrong]).toEqual([[], []]);
    expect(outcomes.served).toBe(outcomes.started);
    // The counters go on.
    const total = await cluster.agentMetric(1, 'baton_agent_adoptions_total', { result: 'ok' });
    expect(total).toBeGreaterThan(JUDGED + PLAIN);
    expect(await cluster.agentMetric(1, 'baton_agent_requests_total')).toBeGreaterThanOrEqual(
      asked.requests + askedPlainly.requests,
    );
    await cluster.until('no flow is left', async () => {
      const left = await cluster.frontApi<{ flows: { live: number } }>('/v1/status');
      return left.flows.live === 0 && (await adopted()) === 0;
    });
  },
  TIMEOUT_MS,
);

/** The only connection of its agent, whose answer takes so long. */
async function inTheMiddle(ms: number): Promise<RawConnection> {
  const connection = await sockets.connect({ host: VIP4 });
  await connection.get(`/slow?ms=${ms}`);
  await cluster.until('it is adopted', async () => (await adoptedBy(cluster))[0] === 1);
  return connection;
}

async function expectServed(connection: RawConnection): Promise<void> {
  await connection.get('/who');
  expect(await connection.response(PATIENCE_MS)).toMatchObject({ status: 200 });
}

test.each([
  ['are judged', 80],
  ['are not judged', PLAIN_PORT],
])(
  'connections whose requests %s, in the middle of one, go on through two restarts',
  async (_kind, port) => {
    const open = async (): Promise<RawConnection> => {
      const connection = await sockets.connect({ host: VIP4, port });
      await expectServed(connection);
      return connection;
    };
    const [busy, begun, uploading, two] = [await open(), await open(), await open(), await open()];
    const all = [busy, begun, uploading, two];
    await busy.get(`/slow?ms=${SLOW_MS}`);
    await begun.send('GET /who HTTP/1.1\r\nHost: l');
    await uploading.send('POST /sum HTTP/1.1\r\nHost: lab\r\nContent-Length: 4\r\n\r\nab');
    await two.get(`/slow?ms=${SLOW_MS / 2}`);
    await two.get('/who');
    const before = [await cluster.restartAgent(1), await cluster.restartAgent(1)];
    await begun.send('ab\r\n\r\n');
    expect(await begun.response(PATIENCE_MS)).toMatchObject({ status: 200 });
    await uploading.send('cd');
    const answer = await uploading.response(PATIENCE_MS);
    expect(JSON.parse(answer.body)).toMatchObject({ bytes: 4 });
    const late = { status: 200, body: 'late\n' };
    expect(await two.responses(2, PATIENCE_MS)).toMatchObject([late, { status: 200 }]);
    // Or they are closed for being idle too long.
    for (const each of [begun, uploading]) await expectServed(each);
    expect(await busy.response(PATIENCE_MS)).toMatchObject(late);
    // They are idle now, so nobody has to stay for them.
    for (const each of before) await gone(each);
    expect((await adoptedBy(cluster))[0]).toBe(all.length);
    await two.response();
    await two.response();
    for (const each of all) {
      await expectServed(each);
      each.close();
    }
  },
  TIMEOUT_MS,
);

test(
  'what the agent before still has ends with it, and the front hears of that',
  async () => {
    const connection = await inTheMiddle(60_000);
    const live = async (): Promise<number> =>
      (await cluster.frontApi<{ flows: { live: number } }>('/v1/status')).flows.live;
    // Those of the tests before may linger.
    await cluster.until('its flow alone', async () => (await live()) === 1);
    const before = await cluster.restartAgent(1);
    expect([(await adoptedBy(cluster))[0], await live()]).toEqual([0, 1]);
    before.kill('SIGKILL');
    await connection.ended(PATIENCE_MS);
    await cluster.until('no flow is left', async () => (await live()) === 0);
  },
  TIMEOUT_MS,
);

test(
  'a successor that cannot start leaves the agent as it was',
  async () => {
    const asking = await Asking.start(cluster.client, { count: 10, pauseMs: [0, 50] });
    const agent = cluster.agents[0];
    const file = join(cluster.lab.dir, 'b1.yaml');
    writeFileSync(file, JSON.stringify({ node: 'b1', unknown_key: true }));
    agent?.kill('SIGUSR2');
    const line = await agent?.waitForLine('no successor, this agent goes on', TIMEOUT_MS);
    expect(line).toContain('unknown_key');
    expect((await adoptedBy(cluster))[0]).toBe(10);
    const settings = cluster.options.agent?.(1, cluster) ?? {};
    cluster.writeAgentConfig(1, { ...settings, node: 'b9' });
    agent?.kill('SIGUSR2');
    expect(await agent?.waitForLine(/node has changed from b1 to b9.*goes on/, TIMEOUT_MS)).toBeDefined();
    // That shows when the control port has been left to it, and is taken back.
    cluster.writeAgentConfig(1, { ...settings, control: { listen: '192.0.2.1:7400', insecure: true } });
    agent?.kill('SIGUSR2');
    expect(await agent?.waitForLine(/control\.listen 192\.0\.2\.1:7400.*goes on/, TIMEOUT_MS)).toBeDefined();
    await cluster.allUp();
    const more = await Asking.start(cluster.client, { count: 10, pauseMs: [0, 50] });
    expect((await adoptedBy(cluster))[0]).toBe(20);
    cluster.writeAgentConfig(1, settings);
    await gone(await cluster.restartAgent(1));
    await cluster.until('they are there again', async () => (await adoptedBy(cluster))[0] === 20);
    expectNothingLost(await asking.stop(), 10);
    expectNothingLost(await more.stop(), 10);
  },
  TIMEOUT_MS,
);

test(
  'a successor that dies: the agent before serves what it has to its end, and ends',
  async () => {
    const slow = await inTheMiddle(2000);
    const before = await cluster.restartAgent(1);
    const after = cluster.agents[0];
    after?.kill('SIGKILL');
    await before.waitForLine('nobody listens for fronts', PATIENCE_MS);
    expect(await slow.response(PATIENCE_MS)).toMatchObject({ status: 200, body: 'late\n' });
    await gone(before);
    await cluster.startAgent(1);
    await cluster.allUp();
    await expectServed(await sockets.connect({ host: VIP4 }));
  },
  TIMEOUT_MS,
);
