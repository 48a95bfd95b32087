/**
 * Later requests of a connection that was handed off. The client may ask for /a of its host, which is a pool of its own,
 * and for /b, which is another pool's; whoever asks for /b over a connection that was opened with /a must get the other
 * pool's answer, or none, and never one from the first pool, whatever serves there.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Cluster, type Settings } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import type { LabProcess } from '../../src/lab/lab-process';
import { planHosts, VIP4, VIP6 } from '../../src/lab/topology';
import { amount } from '../soak';
import type { Echoes } from './questions';
import { ClientSockets } from './faults/client-sockets';
import { descriptorsOf, untilNothingLeft } from './faults/remains';
import { h2load, wrk } from './http-bench';
import {
  ATTEMPTS,
  make,
  PIPELINED,
  UPGRADES,
  type Answer,
  type Attempt,
  type Outcome,
} from './routing/attempts';
import { countsOf, curl, report, runClient } from './support';

const START_MS = 90_000;
const TIMEOUT_MS = 60_000;
const HTTP_PORT = 8080;
const KEPT_PORT = 81;
const REPEATS = amount(2, 20);
const LOAD_SECONDS = amount(2, 20);
const REQUESTS = amount(1_000, 10_000);
const MESSAGES = amount(200, 2_000);

const at = (file: string): string => join(__dirname, 'routing', file);

/** What serves behind the first pools; the one after them is the pool of /b. */
interface Kind {
  readonly name: string;
  readonly serve?: Settings;
  /** Whether the server knows upgrades, and refuses those of the attempts. */
  readonly upgrades: boolean;
}

const KINDS: readonly Kind[] = [
  { name: 'handler', serve: { app: at('handler.mjs') }, upgrades: false },
  { name: 'lenient server', serve: { app: at('server.mjs') }, upgrades: true },
  { name: 'Fastify', serve: { app: at('fastify.mjs') }, upgrades: true },
  { name: 'upstream', serve: { upstream: `http://127.0.0.1:${HTTP_PORT}` }, upgrades: true },
  { name: 'library', upgrades: true },
];
const UPSTREAM = 4;
const LIBRARY = 5;
const OTHER = KINDS.length + 1;

const hostOf = (k: number): string => `k${k}.test`;
/** The same server, in a pool to which nothing is relayed. */
const unrelayedHostOf = (k: number): string => `n${k}.test`;

const LISTENERS: readonly Settings[] = [
  { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
  { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
  { name: 'kept', bind: `${VIP4}:${KEPT_PORT}`, protocol: 'http', routing: 'per-connection' },
];

function frontSettings(cluster: Cluster): Settings {
  const ks = KINDS.map((_, index) => index + 1);
  return {
    listeners: LISTENERS,
    routes: [
      ...ks.map((k) => ({ match: { host: hostOf(k), path_prefix: ['/a', '/echo'] }, pool: `a${k}` })),
      ...ks.map((k) => ({ match: { host: unrelayedHostOf(k), path_prefix: '/a' }, pool: `n${k}` })),
      { match: { path_prefix: '/b' }, pool: 'b' },
    ],
    pools: {
      ...Object.fromEntries(ks.map((k) => [`n${k}`, { fallback: 'refuse', backends: [cluster.backend(k)] }])),
      ...Object.fromEntries(ks.map((k) => [`a${k}`, { backends: [cluster.backend(k)] }])),
      b: { backends: [cluster.backend(OTHER)] },
    },
  };
}

let cluster: Cluster;
let sockets: ClientSockets;
let descriptors: number;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: at('handler.mjs'),
    backends: OTHER,
    front: frontSettings,
    agent: (k) => {
      const serve = KINDS[k - 1]?.serve;
      if (serve === undefined) return {};
      // The relay and questions from aside come as ordinary connections.
      return {
        serve: serve.app === undefined ? serve : { ...serve, listen: `${addressOf(k)}:${HTTP_PORT}` },
      };
    },
  });
  const plain = [process.execPath, at('plain.mjs'), '0.0.0.0', `${HTTP_PORT}`];
  await started(cluster.lab.host(`b${UPSTREAM}`), plain, UPSTREAM, 'listening');
  await replaceByLibrary(LIBRARY);
  sockets = await ClientSockets.start(cluster.client);
  descriptors = descriptorsOf(cluster.front);
}, START_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

/** The lab's addresses are known before it stands. */
function addressOf(k: number): string {
  const host = planHosts({ backends: OTHER }).find(({ name }) => name === `b${k}`);
  if (host === undefined) throw new RangeError(`no backend ${k}`);
  return host.addresses4[0];
}

async function started(host: Host, argv: readonly string[], k: number, line: string): Promise<LabProcess> {
  const service = host.spawn(argv, { env: { BATON_NODE: `b${k}` } });
  await service.waitForLine(line, START_MS);
  return service;
}

/** Puts a service that is its own agent into the place of the agent of backend `k`. */
async function replaceByLibrary(k: number): Promise<void> {
  await cluster.agents[k - 1]?.stop();
  const host = cluster.lab.host(`b${k}`);
  const config = {
    node: host.name,
    control: { listen: `${host.address4}:7400`, insecure: true },
    vips: [VIP4, VIP6],
    manage_vips: true,
    admin: { listen: '127.0.0.1:9181' },
  };
  const argv = [process.execPath, at('library.mjs'), JSON.stringify(config), host.address4, `${HTTP_PORT}`];
  cluster.agents[k - 1] = await started(host, argv, k, 'listening');
  await cluster.allUp();
}

/** Every request that the application of a backend was asked for, as `METHOD URL`. */
async function seenBy(k: number): Promise<string[]> {
  const url = `http://${addressOf(k)}:${HTTP_PORT}/seen`;
  return JSON.parse(await curl(cluster.lab.host(`b${k}`), [url])) as string[];
}

/** What came of many attempts. */
interface Tally {
  attempts: number;
  /** First responses that were not what they should be. */
  bad: string[];
  /** Answers of the wrong pool. */
  wrong: string[];
  /** Later requests that the right pool answered. */
  routed: number;
  /** Later octets that are no request, and were told so. */
  refused: number;
  /** Connections that were closed behind the first answer. */
  closed: number;
}

const tally: Tally = { attempts: 0, bad: [], wrong: [], routed: 0, refused: 0, closed: 0 };

const pathOf = (url: string): string => new URL(url, 'http://app').pathname;

/** Whether the application of backend `k` said this, and what is wanted. */
function isRight(body: string, k: number, wanted: Partial<Answer>): boolean {
  const said = JSON.parse(body) as Answer;
  // An absolute target reaches some applications as it is, and others as a path.
  const normal = (answer: Partial<Answer>): Partial<Answer> => {
    return answer.url === undefined ? answer : { ...answer, url: pathOf(answer.url) };
  };
  return said.node === `b${k}` && isDeepStrictEqual(normal({ ...said, ...wanted }), normal(said));
}

function judge(attempt: Attempt, k: number, { first, later, ended }: Outcome): void {
  const about = `${attempt.name}, ${KINDS[k - 1]?.name ?? ''}`;
  const { status, ...wanted } = attempt.first;
  tally.attempts += 1;
  const isFine = first?.status === status && (first.body === '' || isRight(first.body, k, wanted));
  if (!isFine) tally.bad.push(`${about}: ${first?.head ?? 'nothing'}${first?.body ?? ''}`);
  for (const { status, body } of later) {
    if (status === 200 && isRight(body, OTHER, { url: '/b' })) tally.routed += 1;
    else if ((status === 400 || status === 505) && body === '') tally.refused += 1;
    else tally.wrong.push(`${about}: ${status} ${body}`);
  }
  if (later.length === 0 && ended) tally.closed += 1;
  else if (later.length < attempt.requests - 1 && !ended)
    tally.bad.push(`${about}: ${later.length} later answers`);
}

async function tryAll(attempt: Attempt, ks: readonly number[], host = hostOf): Promise<void> {
  await Promise.all(
    ks.flatMap((k) =>
      Array.from({ length: REPEATS }, async (_, repeat) => {
        const connection = await sockets.connect({ host: repeat % 2 === 0 ? VIP4 : VIP6 });
        judge(attempt, k, await make(attempt, connection, host(k)));
      }),
    ),
  );
}

describe('a second request over a connection that was handed off for the first', () => {
  const all = KINDS.map((_, index) => index + 1);
  const ways = [...ATTEMPTS, ...UPGRADES, ...PIPELINED].length;

  test.each(ATTEMPTS.map((attempt) => [attempt.name, attempt] as const))(
    '%s reaches no wrong pool',
    async (_name, attempt) => {
      await tryAll(attempt, all);
      expect(tally).toMatchObject({ bad: [], wrong: [] });
    },
    TIMEOUT_MS,
  );

  test.each(UPGRADES.map((attempt) => [attempt.name, attempt] as const))(
    '%s reaches no wrong pool',
    async (_name, attempt) => {
      // A server that knows no upgrades answers the request as any other.
      const ignored = { ...attempt, first: { status: 200, url: '/a/refused' } };
      const knows = (k: number): boolean => KINDS[k - 1]?.upgrades === true;
      await tryAll(attempt, all.filter(knows));
      await tryAll(
        ignored,
        all.filter((k) => !knows(k)),
      );
      expect(tally).toMatchObject({ bad: [], wrong: [] });
    },
    TIMEOUT_MS,
  );

  test.each(PIPELINED.map((attempt) => [attempt.name, attempt] as const))(
    '%s reaches no wrong pool where the first one is not relayed to',
    async (_name, attempt) => {
      await tryAll(attempt, all, unrelayedHostOf);
      expect(tally).toMatchObject({ bad: [], wrong: [] });
    },
    TIMEOUT_MS,
  );

  test('has never been seen by an application of the first pools, while the first ones have', async () => {
    const seen = await Promise.all(all.map(seenBy));
    const firsts = seen.flat().filter((line) => pathOf(line.split(' ')[1] ?? '').startsWith('/a'));
    const wrong = seen.flat().filter((line) => !firsts.includes(line));
    const others = await seenBy(OTHER);
    report(
      `${tally.attempts} attempts at the wrong pool, in ${ways} ways on ${all.length} kinds of servers:`,
    );
    report(`${wrong.length + tally.wrong.length} reached it, ${tally.bad.length} first answers were wrong`);
    report(
      `${tally.closed} connections closed behind the first answer, ${tally.routed} later requests routed, ${tally.refused} refused`,
    );
    expect(wrong).toEqual([]);
    expect(firsts).toHaveLength(tally.attempts);
    expect(others).toHaveLength(tally.routed);
    expect(tally.attempts).toBe(ways * all.length * REPEATS);
    // Who asked for its end, or for another protocol, has it.
    expect(tally.closed).toBeLessThan(tally.attempts / 3);
    expect(tally.routed).toBeGreaterThan(tally.attempts);
  });
});

test('nothing is left of all these connections', () => untilNothingLeft(cluster, descriptors), TIMEOUT_MS);

describe('clients that know nothing of it', () => {
  const url = (k: number, path: string): string => `http://${hostOf(k)}${path}`;
  const resolve = (k: number): string[] => ['--resolve', `${hostOf(k)}:80:${VIP4}`];

  test('curl gets every path from its pool, over one connection', async () => {
    const { accepted } = await countsOf(cluster);
    const urls = ['/a', '/b', '/a', '/c', '/b'].map((path) => url(1, path));
    const text = await curl(cluster.client, ['-m', '5', '-w', ' %{http_code}\\n', ...resolve(1), ...urls]);
    expect((await countsOf(cluster)).accepted).toBe(accepted + 1);
    const answers = text
      .trim()
      .split('\n')
      .filter((line) => /\d$/.test(line));
    expect(answers.map((line) => /"node":"(b\d)"/.exec(line)?.[1] ?? line.trim())).toEqual([
      'b1',
      `b${OTHER}`,
      'b1',
      '404',
      `b${OTHER}`,
    ]);
  });

  test('CONNECT opens nothing', async () => {
    const connection = await sockets.connect({ host: VIP4 });
    await connection.send(
      `CONNECT ${hostOf(1)}:80 HTTP/1.1\r\nHost: ${hostOf(1)}:80\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    await connection.ended();
    expect(connection.text).toMatch(/^HTTP\/1\.1 400 /);
    expect((await connection.responses(1)).length).toBe(1);
  });

  // An application's own server may take the end of the client's side for the end of the client, as Node's does.
  test.each(['handler', 'upstream'])('one that closes its side gets its answer, by %s', async (name) => {
    const host = hostOf(KINDS.findIndex((kind) => kind.name === name) + 1);
    for (const pauseMs of [undefined, 0, 5, 30]) {
      const connection = await sockets.connect({ host: VIP4 });
      const sent = connection.send(`GET /a/slow HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      if (pauseMs !== undefined) await sent.then(() => sleep(pauseMs));
      connection.finish();
      expect(await connection.ended()).toBe('FIN');
      expect(await connection.response()).toMatchObject({ status: 200 });
      expect(connection.text).toBe('');
    }
  });

  test.each(
    KINDS.map(({ name, upgrades }, index) => [name, index + 1, upgrades] as const).filter(
      ([, , upgrades]) => upgrades,
    ),
  )(
    'a WebSocket goes on as long as it likes, by %s',
    async (_name, k) => {
      const before = await countsOf(cluster);
      const options = { address: VIP4, host: hostOf(k), count: MESSAGES };
      const echoes = await runClient<Echoes>(cluster.client, 'websocket.mjs', options);
      expect(echoes).toMatchObject({ messages: MESSAGES, code: 1000, first: { node: `b${k}` } });
      expect(await countsOf(cluster)).toMatchObject({
        handedOff: before.handedOff + 1,
        fallbacks: before.fallbacks,
      });
    },
    TIMEOUT_MS,
  );

  test.each([
    ['wrk', wrk],
    ['h2load', h2load],
  ] as const)(
    '%s keeps its connections',
    async (name, bench) => {
      const before = await countsOf(cluster);
      // Its Host is the VIP, which only the route to /b takes.
      const options = { url: `http://${VIP4}/b`, connections: 16, seconds: LOAD_SECONDS, requests: REQUESTS };
      const { requests, requestsPerSecond, failures } = await bench(cluster.client, options);
      const { accepted, fallbacks } = await countsOf(cluster);
      const connections = accepted - before.accepted;
      report(
        `${name}: ${requests} requests on ${connections} connections, ${requestsPerSecond.toFixed(0)}/s, ${failures} failures`,
      );
      expect(failures).toBe(0);
      // The one asks once beforehand.
      expect(connections).toBeLessThanOrEqual(17);
      expect(fallbacks).toBe(before.fallbacks);
    },
    TIMEOUT_MS,
  );
});

describe('a listener with routing: per-connection', () => {
  test('leaves later requests to the backend of the first', async () => {
    const connection = await sockets.connect({ host: VIP4, port: KEPT_PORT });
    const answers: Answer[] = [];
    for (const path of ['/a', '/b', '/elsewhere']) {
      await connection.send(`GET ${path} HTTP/1.1\r\nHost: ${hostOf(1)}\r\n\r\n`);
      answers.push(JSON.parse((await connection.response()).body) as Answer);
    }
    connection.close();
    expect(answers).toMatchObject([
      { node: 'b1', url: '/a' },
      { node: 'b1', url: '/b' },
      { node: 'b1', url: '/elsewhere' },
    ]);
  });
});

describe('a connection that the front relays', () => {
  beforeAll(async () => {
    await cluster.agents[0]?.stop();
    const handler = [process.execPath, at('plain.mjs'), addressOf(1), `${HTTP_PORT}`];
    await started(cluster.lab.host('b1'), handler, 1, 'listening');
    await cluster.untilDown('b1');
  }, START_MS);

  test('has each request routed, and those that no route takes answered with 404', async () => {
    const before = await countsOf(cluster);
    const refused = await cluster.frontMetric('baton_heads_refused_total', { reason: 'no_route' });
    const connection = await sockets.connect({ host: VIP4 });
    const said: string[] = [];
    for (const path of ['/a', '/b', '/c', '/a', '/../c', '/c/%2e%2e/b', '/b']) {
      await connection.send(`GET ${path} HTTP/1.1\r\nHost: ${hostOf(1)}\r\n\r\n`);
      const { status, body } = await connection.response();
      said.push(status === 200 ? (JSON.parse(body) as Answer).node : `${status}`);
    }
    connection.close();
    expect(said).toEqual(['b1', 'b6', '404', 'b1', '404', 'b6', 'b6']);
    const { handedOff, fallbacks } = await countsOf(cluster);
    expect({ handedOff, fallbacks }).toEqual({
      handedOff: before.handedOff,
      fallbacks: before.fallbacks + 1,
    });
    expect(await cluster.frontMetric('baton_heads_refused_total', { reason: 'no_route' })).toBe(refused + 2);
  });

  test('has an upgrade routed, too', async () => {
    for (const [path, status] of [
      ['/a/refused', 403],
      ['/c', 404],
    ] as const) {
      const connection = await sockets.connect({ host: VIP4 });
      await connection.send(`GET /a HTTP/1.1\r\nHost: ${hostOf(1)}\r\n\r\n`);
      expect((await connection.response()).status).toBe(200);
      await connection.send(
        `GET ${path} HTTP/1.1\r\nHost: ${hostOf(1)}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n`,
      );
      expect((await connection.response()).status).toBe(status);
      expect(await connection.ended()).toBe('FIN');
    }
  });
});

describe('where all routes lead to one pool', () => {
  beforeAll(async () => {
    cluster.writeFrontConfig({
      listeners: LISTENERS,
      routes: [{ match: { path_prefix: '/b' }, pool: 'b' }, { pool: 'b' }],
      pools: { b: { backends: [cluster.backend(OTHER)] } },
    });
    cluster.front.kill('SIGHUP');
    await cluster.front.waitForLine('configuration reloaded', START_MS);
  }, START_MS);

  test('connections are kept alive', async () => {
    const before = await countsOf(cluster);
    const urls = Array.from({ length: 10 }, (_, k) => `http://${VIP4}/${k}`);
    expect((await curl(cluster.client, ['-m', '5', ...urls])).match(/"node":"b6"/g)).toHaveLength(10);
    const { accepted, handedOff } = await countsOf(cluster);
    expect({ accepted, handedOff }).toEqual({
      accepted: before.accepted + 1,
      handedOff: before.handedOff + 1,
    });
  });

  test(
    'a load makes as many connections as it has lanes',
    async () => {
      const before = await countsOf(cluster);
      const options = { url: `http://${VIP4}/`, connections: 16, seconds: LOAD_SECONDS };
      const { requests, requestsPerSecond, failures } = await h2load(cluster.client, options);
      const connections = (await countsOf(cluster)).accepted - before.accepted;
      report(
        `h2load: ${requests} requests on ${connections} connections, ${requestsPerSecond.toFixed(0)}/s, ${failures} failures`,
      );
      expect({ connections, failures }).toEqual({ connections: 16, failures: 0 });
    },
    TIMEOUT_MS,
  );
});
