import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';
import { move } from '../../src/cli/move';
import { run as runCommand } from './run';

const FLOW = '198.18.1.1:40000>198.19.0.1:80';
const EXAMPLE = readFileSync(join(__dirname, '../../config/front.yaml'), 'utf8');

const run = (...args: string[]) => runCommand(move, args);

let dir: string;
let file: string;
let server: Server;
/** What the front was asked for, and what it answers. */
let asked: unknown;
let answer: { status: number; body: unknown };

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'baton-move-'));
  server = createServer((request, response) => {
    void text(request).then((body) => {
      asked = [request.method, request.url, request.headers.authorization, JSON.parse(body)];
      response.writeHead(answer.status).end(JSON.stringify(answer.body));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  writeFileSync(join(dir, 'token'), 'a-token-of-sixteen\n', { mode: 0o600 });
  file = join(dir, 'front.yaml');
  const admin = `admin: { listen: '127.0.0.1:${port}', token_file: token }\n`;
  writeFileSync(file, EXAMPLE + admin);
});

afterAll(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

test('has the front move a connection and says where it is', async () => {
  answer = { status: 200, body: { flow: FLOW, backend: 'b2', ms: 1 } };
  const { code, stdout, stderr } = await run('--config', file, '--flow', FLOW, '--to', 'b2');
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${FLOW} is served by b2 now\n`, stderr: '' });
  expect(asked).toEqual(['POST', '/v1/flows/move', 'Bearer a-token-of-sixteen', { flow: FLOW, to: 'b2' }]);
});

test('without a backend it may be any other one', async () => {
  answer = { status: 200, body: { flow: FLOW, backend: 'b1', ms: 1 } };
  const { code, stdout } = await run('--config', file, '--flow', FLOW, '--json');
  expect([code, JSON.parse(stdout)]).toEqual([0, answer.body]);
  expect((asked as unknown[])[3]).toEqual({ flow: FLOW });
});

test('says why a connection stays', async () => {
  answer = { status: 409, body: { error: 'the connection stays: its client has closed its side' } };
  const { code, stdout, stderr } = await run('--config', file, '--flow', FLOW);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toBe('baton move: the connection stays: its client has closed its side\n');
});

test.each<[string, string[], number, RegExp]>([
  ['no configuration', ['--flow', FLOW], 2, /--config FILE is missing\nusage:/],
  ['no flow', ['--config', 'x'], 2, /--flow .* is missing/],
  ['an unknown option', ['--config', 'x', '--form', 'a'], 2, /Unknown option '--form'\nusage:/],
  ['no such file', ['--config', '/nowhere.yaml', '--flow', FLOW], 1, /nowhere\.yaml/],
])('%s', async (_what, args, code, message) => {
  const result = await run(...args);
  expect([result.code, result.stdout]).toEqual([code, '']);
  expect(result.stderr).toMatch(message);
});

test('a front that is not there is said to be where it was looked for', async () => {
  const nowhere = join(dir, 'nowhere.yaml');
  writeFileSync(
    nowhere,
    readFileSync(file, 'utf8').replace(/listen: '127\.0\.0\.1:\d+'/, "listen: '127.0.0.1:1'"),
  );
  await expect(run('--config', nowhere, '--flow', FLOW)).rejects.toThrow(
    /ask the front at 127\.0\.0\.1:1 \(admin\.listen\): connect ECONNREFUSED/,
  );
});
