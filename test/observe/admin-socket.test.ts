import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { createAdmin, listenAdmin } from '../../src/observe/admin';
import { AdminAccess } from '../../src/observe/admin-access';
import { silentLogger } from '../../src/observe/log';
import { createRegistry } from '../../src/observe/registry';

let dir = '';
let socket = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-socket-'));
  socket = join(dir, 'front.sock');
});
afterEach(() => rmSync(dir, { recursive: true }));

function admin(): FastifyInstance {
  const logger = silentLogger();
  const registry = createRegistry('front', () => Promise.resolve({ samples: [], histograms: [] }));
  const access = new AdminAccess({ listen: { socket } }, logger);
  return createAdmin({ registry, ready: () => true, access, logger });
}

function get(path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket, path }, (response) => {
      response.setEncoding('utf8');
      let text = '';
      response.on('data', (piece: string) => (text += piece)).on('end', () => resolve(text));
    });
    asked.on('error', reject).end();
  });
}

test('serves on a socket for owner and group, and removes it at the end', async () => {
  const app = admin();
  expect(await listenAdmin(app, { socket })).toEqual({ socket });
  const stats = lstatSync(socket);
  expect([stats.isSocket(), (stats.mode & 0o777).toString(8)]).toEqual([true, '660']);
  expect(readdirSync(dir)).toEqual(['front.sock']);
  expect(JSON.parse(await get('/healthz'))).toEqual({ status: 'ok' });
  await app.close();
  expect(readdirSync(dir)).toEqual([]);
});

test('closing does not wait for a client that says nothing, nor for one that keeps its connection', async () => {
  const app = admin();
  await listenAdmin(app, { socket });
  const silent = request({ socketPath: socket, path: '/healthz', method: 'POST' }).on(
    'error',
    () => undefined,
  );
  silent.setHeader('content-length', '10');
  silent.flushHeaders();
  await get('/healthz');
  await app.close();
});

test('the socket of a process that died is replaced', async () => {
  const script = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  expect(spawnSync(process.execPath, ['-e', script, socket]).signal).toBe('SIGKILL');
  expect(existsSync(socket)).toBe(true);
  const app = admin();
  await listenAdmin(app, { socket });
  expect(JSON.parse(await get('/healthz'))).toEqual({ status: 'ok' });
  await app.close();
});

test('the socket of a live process is not', async () => {
  const first = admin();
  await listenAdmin(first, { socket });
  const second = admin();
  await expect(listenAdmin(second, { socket })).rejects.toThrow(
    `admin: listen on unix:${socket}: another process listens there: stop it or change admin.listen`,
  );
  await second.close();
  expect(JSON.parse(await get('/healthz'))).toEqual({ status: 'ok' });
  await first.close();
});

test('of many that start at once one gets the socket', async () => {
  const apps = Array.from({ length: 8 }, admin);
  const results = await Promise.allSettled(apps.map((app) => listenAdmin(app, { socket })));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  expect(JSON.parse(await get('/healthz'))).toEqual({ status: 'ok' });
  await Promise.all(apps.map((app) => app.close()));
  expect(readdirSync(dir)).toEqual([]);
});

test('a file of another kind stays where it is', async () => {
  writeFileSync(socket, 'precious');
  const app = admin();
  await expect(listenAdmin(app, { socket })).rejects.toThrow(
    'there is something else with this name: remove it or change admin.listen',
  );
  await app.close();
  expect(readdirSync(dir)).toEqual(['front.sock']);
});

test("another process' socket under the same name stays at the end", async () => {
  const app = admin();
  await listenAdmin(app, { socket });
  const successor = createServer();
  await new Promise<void>((resolve) => successor.listen(`${socket}.next`, resolve));
  renameSync(`${socket}.next`, socket);
  await app.close();
  expect(existsSync(socket)).toBe(true);
  await new Promise((resolve) => successor.close(resolve));
});

test('a directory that is missing says so', async () => {
  const app = admin();
  await expect(listenAdmin(app, { socket: join(dir, 'none', 'a.sock') })).rejects.toThrow(
    /EACCES, its directory is missing, or this user may not write there: mend that or change admin\.listen$/,
  );
  await app.close();
});
