import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { AdminListen } from '../../src/config/model';
import { createAdmin, listenAdmin } from '../../src/observe/admin';
import { AdminAccess } from '../../src/observe/admin-access';
import { silentLogger } from '../../src/observe/log';
import { createRegistry } from '../../src/observe/registry';
import type { StatsSnapshot } from '../../src/observe/stats';

const empty: StatsSnapshot = { samples: [], histograms: [] };
const LOOPBACK: AdminListen = { host: '127.0.0.1', port: 0, family: 4 };
const TOKEN = 'a-token-of-some-length';
const authorization = `Bearer ${TOKEN}`;

let dir = '';
let token_file = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-admin-'));
  token_file = join(dir, 'token');
  writeFileSync(token_file, TOKEN, { mode: 0o600 });
});
afterAll(() => rmSync(dir, { recursive: true }));

function admin(
  options: { ready?: () => boolean; collect?: () => Promise<StatsSnapshot>; log?: Writable } = {},
) {
  const registry = createRegistry('front', options.collect ?? (() => Promise.resolve(empty)));
  const logger = options.log === undefined ? silentLogger() : pino(options.log);
  const access = new AdminAccess({ listen: LOOPBACK, token_file }, logger);
  return createAdmin({ registry, ready: options.ready ?? (() => true), access, logger });
}

/** Serves on loopback, on a port that the kernel chose. */
async function listenSomewhere(app: ReturnType<typeof admin>): Promise<string> {
  await listenAdmin(app, LOOPBACK);
  return `127.0.0.1:${(app.server.address() as AddressInfo).port}`;
}

describe('createAdmin', () => {
  test('/healthz answers as long as the process does', async () => {
    const response = await admin({ ready: () => false }).inject('/healthz');
    expect([response.statusCode, response.json()]).toEqual([200, { status: 'ok' }]);
  });

  test('/readyz follows ready()', async () => {
    let ready = false;
    const app = admin({ ready: () => ready });
    const before = await app.inject('/readyz');
    expect([before.statusCode, before.json()]).toEqual([503, { status: 'not ready' }]);
    ready = true;
    const after = await app.inject('/readyz');
    expect([after.statusCode, after.json()]).toEqual([200, { status: 'ready' }]);
  });

  test('/metrics is the text exposition', async () => {
    const response = await admin().inject('/metrics');
    expect(response.statusCode).toBe(200);
    expect(response.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(response.body).toContain('baton_flow_capacity 0\n');
  });

  test('a failing scrape is a 500 with its cause, in the answer and in the log', async () => {
    const lines: string[] = [];
    const log = new Writable({
      write(chunk: Buffer, _encoding, done) {
        lines.push(chunk.toString());
        done();
      },
    });
    const response = await admin({
      log,
      collect: () => Promise.reject(new Error('thread 2 is gone')),
    }).inject('/metrics');
    expect([response.statusCode, response.json()]).toEqual([500, { error: 'thread 2 is gone' }]);
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      path: '/metrics',
      err: { message: 'thread 2 is gone' },
    });
  });

  test('an unknown path is a 404', async () => {
    const response = await admin().inject('/nowhere?a=b');
    expect([response.statusCode, response.json()]).toEqual([404, { error: 'no such resource: /nowhere' }]);
  });

  test('a known path with another method is a 405 that names the right ones', async () => {
    const app = admin();
    app.post('/v1/backends/:pool/:name/drain', () => ({}));
    const drain = await app.inject('/v1/backends/web/b1/drain?x');
    expect(drain.statusCode).toBe(405);
    expect(drain.headers.allow).toBe('POST');
    expect(drain.json()).toEqual({ error: 'GET is not allowed on /v1/backends/web/b1/drain: use POST' });
    const healthz = await app.inject({ method: 'DELETE', url: '/healthz', headers: { authorization } });
    expect([healthz.statusCode, healthz.headers.allow]).toEqual([405, 'GET, HEAD']);
  });

  test('a malformed path or body is a 400, a body above 64 KiB a 413', async () => {
    const app = admin();
    app.post('/v1/reload', () => ({}));
    const post = (payload: string) =>
      app.inject({
        method: 'POST',
        url: '/v1/reload',
        headers: { authorization, 'content-type': 'application/json' },
        payload,
      });
    const path = await app.inject('/%zz');
    expect([path.statusCode, Object.keys(path.json<object>())]).toEqual([400, ['error']]);
    const body = await post('{');
    expect([body.statusCode, Object.keys(body.json<object>())]).toEqual([400, ['error']]);
    expect((await post(JSON.stringify('x'.repeat(64 * 1024 - 2)))).statusCode).toBe(200);
    const large = await post(JSON.stringify('x'.repeat(64 * 1024 - 1)));
    expect([large.statusCode, Object.keys(large.json<object>())]).toEqual([413, ['error']]);
  });

  test('slow requests and crowds are bounded', () => {
    const { server } = admin();
    expect(server.requestTimeout).toBe(10_000);
    expect(server.maxConnections).toBe(256);
  });
});

describe('listenAdmin', () => {
  test('serves on the address that it returns, IPv6 too', async () => {
    const listens: AdminListen[] = [LOOPBACK, { host: '::1', port: 0, family: 6 }];
    for (const listen of listens) {
      const app = admin();
      const address = await listenAdmin(app, listen);
      expect(address).toEqual({
        host: 'host' in listen ? listen.host : '',
        port: expect.any(Number) as number,
      });
      const { family, port } = app.server.address() as AddressInfo;
      const authority = family === 'IPv6' ? `[::1]:${port}` : `127.0.0.1:${port}`;
      const response = await fetch(`http://${authority}/healthz`);
      expect(await response.json()).toEqual({ status: 'ok' });
      // The client keeps its connection alive; closing must not wait for it.
      await app.close();
    }
  });

  test('closing does not wait for a request under way', async () => {
    let scraped = (): void => undefined;
    const scrape = new Promise<void>((resolve) => (scraped = resolve));
    const app = admin({
      collect: () => {
        scraped();
        return new Promise(() => undefined);
      },
    });
    const authority = await listenSomewhere(app);
    const failed = expect(fetch(`http://${authority}/metrics`)).rejects.toThrow('fetch failed');
    await scrape;
    await app.close();
    await failed;
  });

  test('a taken port says so and what to do', async () => {
    const other = createServer();
    const port = await new Promise<number>((resolve) =>
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port)),
    );
    const app = admin();
    await expect(listenAdmin(app, { host: '127.0.0.1', port, family: 4 })).rejects.toMatchObject({
      message: `admin: listen on 127.0.0.1:${port}: EADDRINUSE, another process listens there: stop it or change admin.listen`,
      cause: { code: 'EADDRINUSE' },
    });
    await app.close();
    await new Promise((resolve) => other.close(resolve));
  });

  test('an address of another host says so and what to do', async () => {
    const app = admin();
    await expect(listenAdmin(app, { host: '2001:db8::1', port: 9180, family: 6 })).rejects.toThrow(
      'admin: listen on [2001:db8::1]:9180: EADDRNOTAVAIL, this host does not have the address: add it or change admin.listen',
    );
    await app.close();
  });
});
