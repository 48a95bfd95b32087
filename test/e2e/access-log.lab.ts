/**
 * The access log beside what clients saw: an application, an upstream and a service that is its own agent, each with a log; and
 * a log that nobody reads, which nobody waits for.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { join } from 'node:path';
import type { AccessLine } from '../../src/agent/access-line';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { h2load, wrk } from './http-bench';
import { ask, expectEchoes } from './questions';
import { countsOf, cpuSeconds, curl, expectHandedOff, report } from './support';

const START_MS = 90_000;
const TIMEOUT_MS = 40_000;
const KEPT_PORT = 81;
/** A handoff takes a millisecond or two; on a machine that does other things, rarely a hundred times that. */
const MOST_HANDOFF_US = 1_000_000;
const SAMPLED = 1000;
const BENCH = { url: `http://${VIP4}:${KEPT_PORT}/who`, connections: 8, seconds: 3 };

type Line = AccessLine & { readonly kind: string; readonly lines?: number };

let cluster: Cluster;
let sockets: ClientSockets;

const file = (name: string): string => join(cluster.lab.dir, name);

function frontSettings(of: Cluster): Settings {
  return {
    listeners: [
      { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
      { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
      { name: 'kept', bind: `${VIP4}:${KEPT_PORT}`, protocol: 'http', routing: 'per-connection' },
    ],
    routes: [
      { name: 'Relayed.1', match: { host: 'upstream.test' }, pool: 'upstream' },
      { match: { host: 'library.test' }, pool: 'library' },
      { match: { host: 'split.test' }, split: { pools: { web: 1 } } },
      { pool: 'web' },
    ],
    pools: {
      web: { backends: [of.backend(1)] },
      upstream: { backends: [of.backend(2)] },
      library: { backends: [of.backend(3)] },
    },
  };
}

function agentSettings(k: number, of: Cluster): Settings {
  if (k === 1) return { access_log: { to: { file: 'access.log' } } };
  if (k === 2) return { serve: { upstream: `http://${of.lab.host('b2').address4}:8081` }, access_log: {} };
  return { access_log: { to: { file: join(of.lab.dir, 'library.log') } } };
}

/** The third agent is a part of its service; its configuration is the file's without what an agent alone has. */
function command(program: string, host: { readonly name: string }, config: string): Promise<string[]> {
  const cli = join(__dirname, '../../dist/cli.js');
  if (host.name !== 'b3') return Promise.resolve([process.execPath, cli, program, '--config', config]);
  const settings = { ...(JSON.parse(readFileSync(config, 'utf8')) as Settings) };
  delete settings.serve;
  const service = join(__dirname, 'library-service.mjs');
  return Promise.resolve([process.execPath, service, JSON.stringify(settings)]);
}

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, 'access-app.mjs'),
    backends: 3,
    front: frontSettings,
    agent: agentSettings,
    command,
  });
  const { address4 } = cluster.lab.host('b2');
  const argv = [process.execPath, join(__dirname, 'plain-service.mjs'), address4, '8081'];
  const service = cluster.lab.host('b2').spawn(argv, { env: { BATON_NODE: 'b2' } });
  await service.waitForLine('listening', START_MS);
  sockets = await ClientSockets.start(cluster.client);
}, START_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

/** The lines of a file of whole lines. */
function linesIn(name: string): Line[] {
  const text = existsSync(file(name)) ? readFileSync(file(name), 'utf8') : '';
  return parse(text.slice(0, text.lastIndexOf('\n') + 1));
}

const parse = (text: string): Line[] =>
  text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line);

/** Waits for the line of the request with this query, of which there is one. */
async function lineOf(query: string, name = 'access.log'): Promise<Line> {
  let found: Line[] = [];
  await cluster.until(`the line of ${query}`, () => {
    found = linesIn(name).filter((line) => line.query === query);
    return Promise.resolve(found.length > 0);
  });
  expect(found).toHaveLength(1);
  return found[0] as Line;
}

let asked = 0;

/** Sends a request with a query of its own, and returns its line when all octets that the line tells of have come. */
async function askAndRead(
  connection: RawConnection,
  method: string,
  path: string,
  { fields = '', body = '', more = '' } = {},
): Promise<Line> {
  const before = connection.text.length;
  const query = `${more}id=${++asked}`;
  await connection.send(`${method} ${path}?${query} HTTP/1.1\r\nHost: lab\r\n${fields}\r\n${body}`);
  const line = await lineOf(query);
  const octets = (): number => connection.text.length - before;
  await cluster.until(`${line.bytes} octets`, () => Promise.resolve(octets() >= line.bytes), 5000);
  expect(octets()).toBe(line.bytes);
  expect(line.status).toBe(Number(connection.text.slice(before + 9, before + 12)));
  return line;
}

const COMMON = { kind: 'access', backend: 'b1', front: 'front-1', pool: 'web', aborted: false };

test(
  'requests of a kept connection, as their client saw them',
  async () => {
    const before = await countsOf(cluster);
    const connection = await sockets.connect({ host: VIP4, port: KEPT_PORT });
    const body = 'x'.repeat(100_000);
    const lines = [
      await askAndRead(connection, 'GET', '/who', { fields: 'User-Agent: raw/1\r\nReferer: /r\r\n' }),
      await askAndRead(connection, 'POST', '/sum', { fields: 'Content-Length: 100000\r\n', body }),
      await askAndRead(connection, 'HEAD', '/who'),
      await askAndRead(connection, 'GET', '/fail'),
      await askAndRead(connection, 'GET', '/chunks', { more: 'n=20&' }),
      await askAndRead(connection, 'GET', '/bytes', { more: 'n=3000000&' }),
      await askAndRead(connection, 'GET', '/absent'),
    ];
    const [first, ...later] = lines;
    expect(first).toMatchObject({
      ...COMMON,
      client: `${cluster.client.address4}:${connection.localPort}`,
      vip: `${VIP4}:${KEPT_PORT}`,
      method: 'GET',
      path: '/who',
      host: 'lab',
      status: 200,
      route: 'web#3',
      first: true,
      user_agent: 'raw/1',
      referer: '/r',
    });
    expect(first?.handoff_us).toBeGreaterThan(0);
    expect(first?.handoff_us).toBeLessThan(MOST_HANDOFF_US);
    expect(later.map(({ method, path, status }) => [method, path, status])).toEqual([
      ['POST', '/sum', 200],
      ['HEAD', '/who', 200],
      ['GET', '/fail', 500],
      ['GET', '/chunks', 200],
      ['GET', '/bytes', 200],
      ['GET', '/absent', 404],
    ]);
    for (const line of later) {
      expect(line).toMatchObject({ ...COMMON, first: false, route: 'web#3' });
      expect(line).not.toHaveProperty('handoff_us');
    }
    expect(lines[5]?.bytes).toBeGreaterThan(3_000_000);
    connection.close();
    await expectHandedOff(cluster, before, 1);
  },
  TIMEOUT_MS,
);

test(
  'every first request has its handoff, and a split its name',
  async () => {
    const began = performance.now();
    await ask(cluster, 'split.test', ['/who?id=split']);
    const most = (performance.now() - began) * 1000;
    const line = await lineOf('id=split');
    expect(line).toMatchObject({ ...COMMON, host: 'split.test', route: 'split#2', first: true });
    expect(line.handoff_us).toBeGreaterThan(0);
    expect(line.handoff_us).toBeLessThan(most);
  },
  TIMEOUT_MS,
);

test(
  'a client that goes away in the middle of an answer',
  async () => {
    const connection = await sockets.connect({ host: VIP4 });
    const size = 1_000_000_000;
    await connection.get(`/bytes?n=${size}&id=aborted`);
    await cluster.until('a part of the answer', () => Promise.resolve(connection.text.length > 500_000));
    connection.reset();
    const line = await lineOf(`n=${size}&id=aborted`);
    expect(line).toMatchObject({ ...COMMON, status: 200, aborted: true });
    expect(line.bytes).toBeGreaterThanOrEqual(connection.text.length);
    expect(line.bytes).toBeLessThan(size);
  },
  TIMEOUT_MS,
);

/** Lines of the access log among those of the second agent's log. */
function relayedLines(): Line[] {
  const lines = cluster.agents[1]?.lines ?? [];
  return parse(lines.map((line) => `${line}\n`).join('')).filter(({ kind }) => kind === 'access');
}

test(
  'an upstream, on standard output among the lines of the log: a request, and a WebSocket at its end',
  async () => {
    await ask(cluster, 'upstream.test', ['/who?id=relayed']);
    const { bytes } = await expectEchoes(cluster, 'upstream.test');
    await cluster.until('two lines', () => Promise.resolve(relayedLines().length === 2));
    const [plain, tunnel] = relayedLines();
    const common = { backend: 'b2', pool: 'upstream', route: 'Relayed.1', first: true, aborted: false };
    expect(plain).toMatchObject({ ...common, status: 200, path: '/who', query: 'id=relayed' });
    expect(tunnel).toMatchObject({ ...common, status: 101, path: '/echo', host: 'upstream.test' });
    expect(tunnel?.bytes).toBeGreaterThan(bytes);
    expect(cluster.agents[1]?.lines.some((line) => line.includes('"msg":"agent is serving"'))).toBe(true);
  },
  TIMEOUT_MS,
);

test(
  'a service that is its own agent',
  async () => {
    await ask(cluster, 'library.test', ['/who?id=library']);
    const line = await lineOf('id=library', 'library.log');
    expect(line).toMatchObject({
      status: 200,
      backend: 'b3',
      pool: 'library',
      route: 'library#1',
      first: true,
    });
    const { first } = await expectEchoes(cluster, 'library.test');
    expect(first.node).toBe('b3');
    await cluster.until('its second line', () => Promise.resolve(linesIn('library.log').length === 2));
    expect(linesIn('library.log')[1]).toMatchObject({ status: 101, path: '/echo', aborted: false });
  },
  TIMEOUT_MS,
);

/** Sends SIGHUP to the first agent, and waits until it says what came of it. */
async function hup(outcome: string): Promise<void> {
  const [agent] = cluster.agents;
  const count = (): number => agent?.lines.filter((line) => line.includes(outcome)).length ?? 0;
  const before = count();
  agent?.kill('SIGHUP');
  await cluster.until(outcome, () => Promise.resolve(count() > before));
}

async function reload(accessLog: Settings): Promise<void> {
  cluster.writeAgentConfig(1, { access_log: accessLog });
  await hup('configuration reloaded');
}

test.each([
  ['with its configuration', { access_log: { to: { file: 'access.log' } } }, 'configuration reloaded'],
  ['whatever its configuration', { vips: 'none' }, 'reload failed'],
  ['not switched off', {}, 'reload failed'],
])(
  'SIGHUP opens a file anew that was moved, %s',
  async (_, settings: Settings, outcome) => {
    await ask(cluster, 'lab', ['/who?id=moved-before']);
    await lineOf('id=moved-before');
    const old = linesIn('access.log');
    renameSync(file('access.log'), file('moved.log'));
    cluster.writeAgentConfig(1, settings);
    await hup(outcome);
    await ask(cluster, 'lab', ['/who?id=moved-after']);
    await lineOf('id=moved-after');
    expect(linesIn('access.log')).toHaveLength(1);
    expect(linesIn('moved.log')).toEqual(old);
    rmSync(file('moved.log'));
  },
  TIMEOUT_MS,
);

test(
  'a share of a tenth, and all errors',
  async () => {
    await reload({ to: { file: 'sample.log' }, sample: 0.1 });
    const url = `http://${VIP4}:${KEPT_PORT}/who`;
    const { requests, failures } = await h2load(cluster.client, {
      url,
      connections: 4,
      seconds: 20,
      requests: SAMPLED,
    });
    expect([requests, failures]).toEqual([SAMPLED, 0]);
    for (let failed = 0; failed < 20; failed++) {
      await curl(cluster.client, ['-o', '/dev/null', `http://${VIP4}/fail?${failed}`]);
    }
    // Lines are in the order in which answers end.
    await cluster.until('the last line', () => Promise.resolve(linesIn('sample.log').at(-1)?.query === '19'));
    const lines = linesIn('sample.log');
    expect(lines.filter(({ status }) => status === 500)).toHaveLength(20);
    const sampled = lines.length - 20;
    report(`sample 0.1: ${sampled} lines of ${SAMPLED} requests`);
    expect(sampled).toBeGreaterThan(60);
    expect(sampled).toBeLessThan(140);
  },
  TIMEOUT_MS,
);

/** What kept connections got in some seconds. Requests per second depend on who else uses this machine, CPU time does not. */
async function load(): Promise<{ requestsPerSecond: number; cpuMicros: number }> {
  const pid = cluster.agents[0]?.pid ?? NaN;
  const before = cpuSeconds(pid);
  const { requests, requestsPerSecond, failures } = await wrk(cluster.client, BENCH);
  expect(failures).toBe(0);
  return { requestsPerSecond, cpuMicros: ((cpuSeconds(pid) - before) * 1e6) / requests };
}

const dropped = (): Promise<number> => cluster.agentMetric(1, 'baton_agent_access_lines_dropped_total');

const rates = ({ requestsPerSecond, cpuMicros }: Awaited<ReturnType<typeof load>>): string =>
  `${requestsPerSecond.toFixed(0)} requests/s, ${cpuMicros.toFixed(0)} µs of CPU each`;

test(
  'nobody waits for a log that nobody reads, or that has no room',
  async () => {
    await reload({ to: { file: 'bench.log' } });
    await load();
    const usual = await load();
    expect(await dropped()).toBe(0);
    execFileSync('mkfifo', [file('fifo')]);
    report(`a file: ${rates(usual)}`);
    for (const to of ['fifo', '/dev/full']) {
      await reload({ to: { file: to } });
      const before = await dropped();
      const stuck = await load();
      const lost = (await dropped()) - before;
      report(`${to}: ${rates(stuck)}; ${lost} lines dropped`);
      // One write that waited would have ended it all.
      expect(stuck.requestsPerSecond).toBeGreaterThan(usual.requestsPerSecond / 5);
      // Fewer requests at once share less: a quarter more has been seen.
      expect(stuck.cpuMicros).toBeLessThan(2 * usual.cpuMicros);
      expect(lost).toBeGreaterThan(0);
      if (to === 'fifo') await expectGap(lost);
    }
  },
  TIMEOUT_MS,
);

/** Reads the FIFO at last: whole lines, and how many are missing stands where they are. */
async function expectGap(lost: number): Promise<void> {
  await ask(cluster, 'lab', ['/who?id=last']);
  const fd = openSync(file('fifo'), constants.O_RDONLY | constants.O_NONBLOCK);
  const bytes = Buffer.alloc(64 * 1024);
  let text = '';
  await cluster.until('the last line', () => {
    try {
      text += bytes.toString('latin1', 0, readSync(fd, bytes));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return Promise.resolve(text.includes('id=last'));
  });
  closeSync(fd);
  const gaps = parse(text).filter(({ kind }) => kind === 'access_dropped');
  expect(gaps).toMatchObject([{ backend: 'b1', cause: 'the reader does not keep up' }]);
  // The last request's line may have pushed out others.
  expect(gaps[0]?.lines).toBeGreaterThanOrEqual(lost);
  expect(gaps[0]?.lines).toBeLessThan(lost + 100);
}
