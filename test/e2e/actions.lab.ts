/**
 * What routes do beside leading to a pool: edit heads, split, respond, redirect, deny. A backend must see the same edits on a
 * connection that was handed to it as on one that the front relays, and everything else as the client sent it.
 */
import { createHash } from 'node:crypto';
import { Cluster, type Settings } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { ClientSockets } from './faults/client-sockets';
import {
  APP,
  countsOf,
  expectHandedOff,
  inUrl,
  report,
  runClient,
  type Counts,
  type ShortResult,
} from './support';

const START_MS = 90_000;
const TIMEOUT_MS = 60_000;
const KEPT_PORT = 81;
const USERS = 300;
const PARALLEL = 16;
const ID = /^[0-9a-f]{32}$/;
const BODY = 'body of a request\r\n'.repeat(20_000);
const SUM = { bytes: BODY.length, sha256: createHash('sha256').update(BODY, 'latin1').digest('hex') };

/** What /who says. */
interface Who {
  readonly node: string;
  readonly client: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

function frontSettings(of: Cluster): Settings {
  const shares = { web: 90, canary: 10 };
  return {
    listeners: [
      { name: 'web', bind: `${VIP4}:80`, protocol: 'http' },
      { name: 'web6', bind: `[${VIP6}]:80`, protocol: 'http' },
      { name: 'kept', bind: `${VIP4}:${KEPT_PORT}`, protocol: 'http', routing: 'per-connection' },
    ],
    routes: [
      {
        match: { path_prefix: '/api' },
        pool: 'web',
        set_headers: { 'X-Tenant': 'gold', 'X-Edge': 'front-1; "quoted"' },
        remove_headers: ['X-Debug'],
        strip_prefix: '/api',
        request_id: 'X-Request-Id',
      },
      { match: { host: 'sticky' }, split: { pools: shares, by: 'cookie:user' } },
      { match: { host: 'random' }, split: { pools: shares } },
      { match: { path: '/ok' }, respond: { status: 200, headers: { 'X-Answer': 'yes' }, body: 'ok\n' } },
      { match: { path: '/nothing' }, respond: { status: 204 } },
      { match: { path: '/large' }, respond: { body: 'x'.repeat(65_536) } },
      { match: { path_prefix: '/old' }, redirect: { to: 'https://{host}{path}{query}' } },
      { match: { path: '/moved' }, redirect: { to: '/new', status: 302 } },
      { match: { path_prefix: '/private' }, deny: {} },
      { match: { path_prefix: '/who' }, pool: 'web' },
    ],
    pools: { web: { backends: [of.backend(1)] }, canary: { backends: [of.backend(2)] } },
  };
}

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, backends: 2, clientAddresses: 10, front: frontSettings });
  sockets = await ClientSockets.start(cluster.client);
}, START_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

/** Fields that the route changes, and one that it does not. */
const FORGED = 'x-tenant: forged\r\nX-Debug: 1\r\nX-Kept: \xe9\r\nx-debug: 2\r\nX-TENANT: again\r\n';

/** What the backend must see of a request with these fields. */
function expectEdited(
  { node, path, headers }: Who,
  target: string,
  id: unknown = expect.stringMatching(ID),
): void {
  expect({ node, path }).toEqual({ node: 'b1', path: target });
  expect(headers).toMatchObject({
    'x-tenant': 'gold',
    'x-edge': 'front-1; "quoted"',
    'x-kept': '\xe9',
    'x-request-id': id,
  });
  expect(headers).not.toHaveProperty('x-debug');
}

/** A body of JSON; connections keep octets. */
function whoIn(body: string): Who {
  return JSON.parse(Buffer.from(body, 'latin1').toString()) as Who;
}

/** What the backend sees of the only request of a connection. */
async function askOnce(text: string, host: string): Promise<Who> {
  const connection = await sockets.connect({ host });
  await connection.send(text);
  expect(await connection.ended()).toBe('FIN');
  expect(connection.text).toMatch(/^HTTP\/1\.1 200 /);
  return whoIn(connection.text.slice(connection.text.indexOf('\r\n\r\n')));
}

/** The same of a request that is made three times: the first is judged by the front, the others by the agent. */
async function askAgain(text: string, host: string): Promise<Who[]> {
  const connection = await sockets.connect({ host });
  const seen: Who[] = [];
  while (seen.length < 3) {
    await connection.send(text);
    const { status, body } = await connection.response();
    expect(status).toBe(200);
    seen.push(whoIn(body));
  }
  connection.close();
  return seen;
}

describe('edits', () => {
  let before: Counts;
  beforeEach(async () => {
    before = await countsOf(cluster);
  });

  test.each([
    ['the prefix goes', 'GET /api/who?a=/api HTTP/1.1', '', '/who?a=/api', undefined],
    ['in another spelling', 'GET /x/../%61pi/./who HTTP/1.1', '', '/who', undefined],
    ['in absolute form', 'GET http://lab/api/who HTTP/1.1', '', 'http://lab/who', undefined],
    ['an id stays', 'GET /api/who HTTP/1.1', 'x-request-id: 01J:abc\r\n', '/who', '01J:abc'],
    ['what is no id does not', 'GET /api/who HTTP/1.1', 'X-Request-Id: a"b\r\n', '/who', undefined],
    [
      'a client cannot name a field away',
      'GET /api/who HTTP/1.1',
      'Connection: X-Tenant, x-edge\r\n',
      '/who',
      undefined,
    ],
    ['HTTP/1.0', 'GET /api/who HTTP/1.0', '', '/who', undefined],
  ])('on a connection that is handed off: %s', async (_what, line, fields, target, id) => {
    for (const host of [VIP4, VIP6]) {
      const text = `${line}\r\nHost: lab\r\n${FORGED}${fields}\r\n`;
      const all = line.endsWith('1.0') ? [await askOnce(text, host)] : await askAgain(text, host);
      for (const who of all) {
        expectEdited(who, target, id);
        expect(who.headers).not.toHaveProperty('x-forwarded-for');
      }
    }
    await expectHandedOff(cluster, before, 2);
  });

  test('and a body arrives as it is', async () => {
    const head = `POST /api/sum HTTP/1.1\r\nHost: lab\r\nContent-Length: ${BODY.length}\r\n\r\n`;
    const chunks = `POST /api/sum HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const chunked = `${BODY.length.toString(16)}\r\n${BODY}\r\n0\r\n\r\n`;
    for (const pieces of [[head + BODY], [head, BODY], [chunks, chunked]]) {
      const connection = await sockets.connect({ host: VIP4 });
      for (let time = 0; time < 2; time++) {
        for (const piece of pieces) await connection.send(piece);
        expect(JSON.parse((await connection.response()).body)).toMatchObject({ ...SUM, node: 'b1' });
      }
      connection.close();
    }
    await expectHandedOff(cluster, before, 3);
  });

  test('with routing: per-connection the first head is edited and the connection stays', async () => {
    const first = `GET /api/who HTTP/1.1\r\nHost: lab\r\nConnection: keep-alive, X-Tenant\r\n${FORGED}\r\n`;
    const connection = await sockets.connect({ host: VIP4, port: KEPT_PORT });
    await connection.send(first);
    const who = whoIn((await connection.response()).body);
    expectEdited(who, '/who');
    expect(who.headers.connection).toBe('keep-alive');
    await connection.send('GET /who HTTP/1.1\r\nHost: lab\r\n\r\n');
    expect(whoIn((await connection.response()).body).headers).toEqual({ host: 'lab' });
    connection.close();
    await expectHandedOff(cluster, before, 1);
  });

  test('each request of a connection is edited, and answered where its route says so', async () => {
    const connection = await sockets.connect({ host: VIP4 });
    const post = `POST /api/sum?x HTTP/1.1\r\nHost: lab\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
    const who = `GET /api/who?q HTTP/1.1\r\nHost: lab\r\n${FORGED}X-Request-Id: mine-1\r\nConnection: X-Tenant\r\n\r\n`;
    const ok = 'HEAD /ok HTTP/1.1\r\nHost: lab\r\n\r\n';
    const fine = 'GET /ok HTTP/1.1\r\nHost: lab\r\n\r\n';
    const old = 'GET /old/a?b HTTP/1.1\r\nHost: lab:80\r\n\r\n';
    // More than its first message is there when the head is peeked.
    const diverted = await cluster.agentMetric(1, 'baton_agent_diverted_requests_total', {
      action: 'answered',
    });
    await connection.send(fine.replace('/ok', '/who') + post);
    expect(JSON.parse((await connection.response()).body)).toMatchObject({ path: '/who' });
    expect(JSON.parse((await connection.response()).body)).toMatchObject({ ...SUM, node: 'b1' });
    await connection.send(who);
    const seen = whoIn((await connection.response()).body);
    expectEdited(seen, '/who?q', 'mine-1');
    await connection.send(fine);
    expect(await connection.response()).toMatchObject({ status: 200, body: 'ok\n' });
    await connection.send(old);
    const redirected = await connection.response();
    expect(redirected.status).toBe(308);
    expect(redirected.head).toContain('\r\nLocation: https://lab/old/a?b\r\n');
    await connection.send('GET /private/x HTTP/1.1\r\nHost: lab\r\n\r\n');
    expect(await connection.response()).toMatchObject({ status: 403 });
    await connection.send(ok.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'));
    expect(await connection.ended()).toBe('FIN');
    expect(connection.text).toMatch(
      /^HTTP\/1\.1 200 OK\r\nX-Answer: yes\r\n[^]*Content-Length: 3\r\n[^]*\r\n\r\n$/,
    );
    const { accepted, handedOff, fallbacks } = await countsOf(cluster);
    expect({ accepted, handedOff, fallbacks }).toEqual({
      accepted: before.accepted + 1,
      handedOff: before.handedOff + 1,
      fallbacks: before.fallbacks,
    });
    expect(await cluster.agentMetric(1, 'baton_agent_diverted_requests_total', { action: 'answered' })).toBe(
      diverted + 4,
    );
  });
});

describe('answers of the front', () => {
  test.each([
    ['respond', 'GET /ok', 200, 'ok\n', 'X-Answer: yes'],
    ['respond', 'GET /nothing', 204, '', 'Connection: close'],
    ['respond', 'GET /large', 200, 'x'.repeat(65_536), 'Content-Length: 65536'],
    [
      'redirect',
      'GET /old//evil.example/%0d%0aX:1?a=b',
      308,
      undefined,
      'Location: https://lab/old//evil.example/%0d%0aX:1?a=b',
    ],
    ['redirect', 'GET /moved', 302, undefined, 'Location: /new'],
    ['deny', 'GET /private', 403, 'Forbidden\n', 'Content-Length: 10'],
  ])('%s: %s', async (action, line, status, body, field) => {
    const before = await countsOf(cluster);
    const labels = { action, code: String(status) };
    const counted = await cluster.frontMetric('baton_responses_total', labels);
    for (const method of ['GET', 'HEAD']) {
      const connection = await sockets.connect({ host: VIP4 });
      await connection.send(`${line.replace('GET', method)} HTTP/1.1\r\nHost: LAB:80\r\n\r\n`);
      expect(await connection.ended()).toBe('FIN');
      const [head = '', ...rest] = connection.text.split('\r\n\r\n');
      expect(head).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
      expect(head.split('\r\n')).toEqual(expect.arrayContaining([field, 'Connection: close']));
      if (method === 'HEAD') expect(rest).toEqual(['']);
      else if (body !== undefined) expect(rest).toEqual([body]);
      connection.close();
    }
    const { accepted, handedOff, fallbacks } = await countsOf(cluster);
    expect({ accepted, handedOff, fallbacks }).toEqual({
      ...before,
      accepted: before.accepted + 2,
      relayedBytes: undefined,
    });
    expect(await cluster.frontMetric('baton_responses_total', labels)).toBe(counted + 2);
  });

  test('no 100 before them, no RST over them, whatever the client sends', async () => {
    const connection = await sockets.connect({ host: VIP4 });
    await connection.send(
      'POST /private HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n',
    );
    await connection.send(BODY);
    expect(await connection.response()).toMatchObject({ status: 403, body: 'Forbidden\n' });
    await connection.send(BODY);
    connection.finish();
    expect(await connection.ended()).toBe('FIN');
  });

  test('a client that closes its side gets the whole', async () => {
    const connection = await sockets.connect({ host: VIP4 });
    const sent = connection.send('GET /large HTTP/1.1\r\nHost: a\r\n\r\n');
    connection.finish();
    await sent;
    expect(await connection.ended()).toBe('FIN');
    expect(await connection.response()).toMatchObject({ status: 200, body: 'x'.repeat(65_536) });
  });

  test('curl takes them', async () => {
    const argv = ['curl', '-sSg', '-m', '5', '-w', ' %{http_code} %{redirect_url}\n'];
    const urls = ['/ok', '/old/x?y', '/private'].map((path) => `http://${inUrl(VIP6)}${path}`);
    const { code, stdout } = await cluster.client.run([
      ...argv,
      '-o',
      '/dev/null',
      urls[1] ?? '',
      urls[0] ?? '',
    ]);
    expect(code).toBe(0);
    expect(stdout.split('\n')[0]).toBe(` 308 https://[${VIP6}]/old/x?y`);
    expect(stdout).toContain('ok\n 200 ');
  });
});

describe('a split', () => {
  /** Which node has served each user; all of them are handed over. */
  async function placesOf(host: string): Promise<readonly string[]> {
    const { handedOff } = await countsOf(cluster);
    const { places, errors } = await runClient<ShortResult>(cluster.client, 'short-connections.mjs', {
      address: VIP4,
      host,
      sources: cluster.client.addresses4,
      count: USERS,
      parallel: PARALLEL,
    });
    expect(errors).toEqual([]);
    expect((await countsOf(cluster)).handedOff - handedOff).toBe(USERS);
    return places;
  }

  /** Of 300 with a chance of a tenth, 30 on average: five standard deviations (5.2) are passed once in 10^6 runs. */
  const expectTenth = (places: readonly string[]): number => {
    const canary = places.filter((place) => place === 'b2').length;
    expect(canary).toBeGreaterThan(4);
    expect(canary).toBeLessThan(56);
    expect(places.filter((place) => place === 'b1')).toHaveLength(USERS - canary);
    return canary;
  };

  test(
    'shares as its weights say, and by a cookie each user stays where it is',
    async () => {
      const sticky = await placesOf('sticky');
      expect(await placesOf('sticky')).toEqual(sticky);
      const random = await placesOf('random');
      const again = await placesOf('random');
      expect(again).not.toEqual(random);
      const counts = [sticky, random, again].map(expectTenth);
      report(
        `split 90/10, ${USERS} users: ${counts[0] ?? 0} by cookie, ${counts[1] ?? 0} and ${counts[2] ?? 0} by chance`,
      );
    },
    TIMEOUT_MS,
  );
});
