import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { FastifyInstance } from 'fastify';
import type { AdminListen } from '../../src/config/model';
import { createAdmin } from '../../src/observe/admin';
import { AdminAccess, readToken } from '../../src/observe/admin-access';
import { createRegistry } from '../../src/observe/registry';

const TOKEN = 'open-sesame-open-sesame';
const OTHER_TOKEN = 'another-token-altogether';
const RIGHT = `Bearer ${TOKEN}`;
const WRONG = `Bearer ${OTHER_TOKEN}`;

const LOOPBACK: AdminListen = { host: '127.0.0.1', port: 9180, family: 4 };
const LOOPBACK6: AdminListen = { host: '::1', port: 9180, family: 6 };
const SOCKET: AdminListen = { socket: '/run/baton/front.sock' };
const NETWORK: AdminListen = { host: '198.18.0.11', port: 9180, family: 4 };

let dir = '';
let token_file = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-access-'));
  token_file = join(dir, 'token');
});
beforeEach(() => writeFileSync(token_file, TOKEN, { mode: 0o600 }));
afterAll(() => rmSync(dir, { recursive: true }));

interface Scene {
  readonly app: FastifyInstance;
  readonly access: AdminAccess;
  readonly lines: Record<string, unknown>[];
}

function scene(listen: AdminListen, withToken = true): Scene {
  const lines: Record<string, unknown>[] = [];
  const log = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Record<string, unknown>);
      done();
    },
  });
  const logger = pino(log);
  const registry = createRegistry('front', () => Promise.resolve({ samples: [], histograms: [] }));
  const access = new AdminAccess({ listen, ...(withToken && { token_file }) }, logger);
  const app = createAdmin({ registry, ready: () => true, access, logger });
  app.get('/v1/status', () => ({ node: 'front-1' }));
  app.post('/v1/reload', () => ({ status: 'reloaded' }));
  return { app, access, lines };
}

async function ask(
  app: FastifyInstance,
  request: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; headers: Record<string, unknown>; error: string }> {
  const [method, url] = request.split(' ') as ['GET' | 'POST', string];
  const response = await app.inject({ method, url, headers: { host: '127.0.0.1:9180', ...headers } });
  const error = response.statusCode >= 400 ? response.json<{ error: string }>().error : '';
  return { status: response.statusCode, headers: response.headers, error };
}

/** What each listener answers to a request without a token, with a wrong and with the right one. */
const OPEN = [200, 200, 200];
const CLOSED = [401, 401, 200];
type Case = readonly [listen: AdminListen, request: string, answers: readonly number[]];

test.each<Case>([
  ...[LOOPBACK, LOOPBACK6, SOCKET].flatMap((listen): Case[] => [
    [listen, 'GET /healthz', OPEN],
    [listen, 'GET /readyz', OPEN],
    [listen, 'GET /metrics', OPEN],
    [listen, 'GET /v1/status', OPEN],
    [listen, 'HEAD /v1/status', OPEN],
    [listen, 'POST /v1/reload', CLOSED],
  ]),
  [NETWORK, 'GET /healthz', OPEN],
  [NETWORK, 'HEAD /readyz', OPEN],
  [NETWORK, 'GET /metrics', CLOSED],
  [NETWORK, 'GET /v1/status', CLOSED],
  [NETWORK, 'GET /v1/status?path=/healthz', CLOSED],
  [NETWORK, 'POST /v1/reload', CLOSED],
  // What is not there must not be told from what is.
  [NETWORK, 'GET /healthz/', [401, 401, 404]],
  [NETWORK, 'GET //healthz', [401, 401, 404]],
  [NETWORK, 'GET /%68ealthz', CLOSED],
  [NETWORK, 'GET /nowhere', [401, 401, 404]],
  [NETWORK, 'POST /healthz', [401, 401, 405]],
  [NETWORK, 'OPTIONS /v1/status', [401, 401, 405]],
  [LOOPBACK, 'DELETE /v1/status', [401, 401, 405]],
  [LOOPBACK, 'GET /nowhere', [404, 404, 404]],
])('%j: %s answers %j without, with a wrong and with the right token', async (listen, request, answers) => {
  const { app } = scene(listen);
  const fields = [{}, { authorization: WRONG }, { authorization: RIGHT }];
  const given = await Promise.all(fields.map(async (headers) => (await ask(app, request, headers)).status));
  expect(given).toEqual(answers);
});

test('a 401 says what to send', async () => {
  const { app } = scene(NETWORK);
  const without = await ask(app, 'GET /metrics');
  expect(without.headers).toMatchObject({ 'www-authenticate': 'Bearer realm="baton"', connection: 'close' });
  expect(without.error).toBe(
    'the request has no token: send "Authorization: Bearer TOKEN" with the one in admin.token_file',
  );
  const wrong = await ask(app, 'GET /metrics', { authorization: WRONG });
  expect(wrong.error).toBe(
    'the request does not have the right token: send "Authorization: Bearer TOKEN" with the one in admin.token_file',
  );
});

test.each([LOOPBACK, SOCKET])('without a token file %j takes no POST, whatever it shows', async (listen) => {
  const { app } = scene(listen, false);
  for (const headers of [{}, { authorization: RIGHT }]) {
    const { status, error } = await ask(app, 'POST /v1/reload', headers);
    expect(status).toBe(403);
    expect(error).toBe('POST needs a token: set admin.token_file; to reload without one, send SIGHUP');
  }
  expect((await ask(app, 'GET /v1/status')).status).toBe(200);
});

describe('on loopback', () => {
  test.each([
    ['127.0.0.1', true],
    ['127.0.0.1:9180', true],
    ['[::1]:9180', true],
    ['[::1]', true],
    ['localhost:9180', true],
    ['LocalHost', true],
    ['10.1.2.3:9180', true],
    ['evil.example:9180', false],
    ['evil.example', false],
    ['127.0.0.1.evil.example', false],
    ['localhost.evil.example', false],
    ['127.0.0.1:9180@evil.example', false],
    ['[::1].evil.example', false],
  ])('a page cannot read by DNS rebinding: Host %j passes: %j', async (host, passes) => {
    const { app } = scene(LOOPBACK);
    const { status, error } = await ask(app, 'GET /v1/status', { host });
    expect([status, error]).toEqual(
      passes ? [200, ''] : [403, 'foreign Host: this API is no place for browsers'],
    );
    // Whoever has the token needs no further proof.
    expect((await ask(app, 'GET /v1/status', { host, authorization: RIGHT })).status).toBe(200);
  });

  test.each([
    ['http://127.0.0.1:9180', 200],
    ['http://evil.example', 403],
    ['http://127.0.0.1:8080', 403],
    ['https://127.0.0.1:9180', 403],
    ['null', 403],
  ])('a request from the origin %s is answered with %d', async (origin, expected) => {
    const { app } = scene(LOOPBACK);
    const { status, headers } = await ask(app, 'GET /v1/status', { origin });
    expect(status).toBe(expected);
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

test('a Unix socket and an address of the network may be asked by any name', async () => {
  for (const listen of [SOCKET, NETWORK]) {
    const { app } = scene(listen);
    const headers = { host: 'front-1.example.com', authorization: RIGHT };
    expect((await ask(app, 'GET /v1/status', headers)).status).toBe(200);
  }
  const { app } = scene(SOCKET);
  expect((await ask(app, 'GET /v1/status', { host: 'anything' })).status).toBe(200);
});

test('a rotated token takes the place of the old one', async () => {
  const { app, access } = scene(NETWORK);
  writeFileSync(token_file, OTHER_TOKEN);
  const before = await ask(app, 'GET /metrics', { authorization: WRONG });
  access.useToken(readToken({ listen: NETWORK, token_file }));
  const after = await ask(app, 'GET /metrics', { authorization: WRONG });
  const old = await ask(app, 'GET /metrics', { authorization: RIGHT });
  expect([before.status, after.status, old.status]).toEqual([401, 200, 401]);
});

test('refused requests are logged once a second and kind, with the peer and without any secret', async () => {
  const { app, lines } = scene(NETWORK);
  for (let count = 0; count < 50; count++) {
    await ask(app, `GET /v1/status?token=${TOKEN}`, { authorization: WRONG });
  }
  // A slow machine may take longer than a second for this.
  expect(lines.length).toBeGreaterThanOrEqual(1);
  expect(lines.length).toBeLessThan(25);
  expect(lines[0]).toMatchObject({
    msg: 'admin request refused',
    peer: '127.0.0.1',
    method: 'GET',
    path: '/v1/status',
    status: 401,
    cause: expect.stringContaining('does not have the right token') as string,
  });
  expect(JSON.stringify(lines)).not.toMatch(new RegExp(`${TOKEN}|${OTHER_TOKEN}`));
});

test('a token file that cannot be used is an error of the start', () => {
  writeFileSync(token_file, 'short');
  expect(() => scene(NETWORK)).toThrow(`admin.token_file ${token_file}: is not one line of`);
});
