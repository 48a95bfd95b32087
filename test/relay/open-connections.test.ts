import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { OpenConnections } from '../../src/relay/open-connections';

/** More than the kernel's buffers of both ends take. */
const BODY = Buffer.alloc(24 * 1024 * 1024, 'an octet that is lost is a defect; ');
const KEPT_ALIVE = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const POLL_MS = 5;

const digest = (bytes: Buffer): string => createHash('sha1').update(bytes).digest('hex');

let server: Server;
let connections: OpenConnections;
const clients: Socket[] = [];

async function listen(listener: RequestListener, closable?: (socket: Socket) => boolean): Promise<void> {
  server = createServer(listener);
  connections = new OpenConnections(server, closable);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

/** A connection that has asked, and reads nothing until it is told to. */
async function ask(text = KEPT_ALIVE): Promise<Socket> {
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  clients.push(client);
  client.pause();
  await once(client, 'connect');
  client.write(text);
  return client;
}

interface Read {
  readonly body: Buffer;
  readonly error: string | undefined;
}

/** Everything that comes, until the connection ends. */
function readAll(client: Socket): Promise<Read> {
  const pieces: Buffer[] = [];
  let error: string | undefined;
  client.on('data', (piece: Buffer) => pieces.push(piece));
  client.on('error', (cause: NodeJS.ErrnoException) => {
    error = cause.code;
  });
  client.resume();
  return new Promise((resolve) =>
    client.once('close', () => {
      const all = Buffer.concat(pieces);
      resolve({ body: all.subarray(all.indexOf('\r\n\r\n') + 4), error });
    }),
  );
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Resolves when the server has ended that many answers. */
function answers(count: number, body: Buffer): { listener: RequestListener; ended: Promise<void> } {
  let left = count;
  let done!: () => void;
  const ended = new Promise<void>((resolve) => (done = resolve));
  const listener: RequestListener = (_request, response) => {
    response.setHeader('Content-Length', body.length);
    response.end(body);
    if (--left === 0) done();
  };
  return { listener, ended };
}

afterEach(() => {
  for (const client of clients.splice(0)) client.destroy();
  server.close();
  server.closeAllConnections();
});

test('an answer that is ended and not yet delivered is not idle', async () => {
  const { listener, ended } = answers(3, BODY);
  await listen(listener);
  const slow = await Promise.all([ask(), ask(), ask()]);
  await ended;
  connections.stopListening();
  const timer = setInterval(() => connections.closeIdle(), POLL_MS);
  // All of it is somewhere between the server and the client.
  await new Promise((resolve) => setTimeout(resolve, 20 * POLL_MS));
  expect(connections.size).toBe(3);
  const read = await Promise.all(slow.map(readAll));
  await until(() => connections.size === 0);
  clearInterval(timer);
  expect(read.map(({ body, error }) => [digest(body), error])).toEqual(
    slow.map(() => [digest(BODY), undefined]),
  );
});

test('what the kernel still has to deliver is not idle either', async () => {
  // More than the client's window, and less than the server's kernel takes.
  const body = BODY.subarray(0, 512 * 1024);
  let written = false;
  await listen((_request, response) => response.once('finish', () => (written = true)).end(body));
  const client = await ask();
  await until(() => written);
  connections.closeIdle();
  expect(connections.size).toBe(1);
  // A closed socket would answer this with RST, and throw away what is left.
  client.write('GET');
  const read = readAll(client);
  await until(() => {
    connections.closeIdle();
    return client.bytesRead > body.length;
  });
  // Half a request is no idle connection.
  expect(connections.size).toBe(1);
  connections.end();
  expect(digest((await read).body)).toBe(digest(body));
});

test('connections that wait for their next request are closed, requests under way are not', async () => {
  let finish: (() => void) | undefined;
  await listen((request, response) => {
    if (request.url === '/slow') finish = () => response.end('slow');
    else response.end('fast');
  });
  const slow = await ask('GET /slow HTTP/1.1\r\nHost: a\r\n\r\n');
  const half = await ask('GET / HTTP/1.1\r\nHo');
  const fast = await ask();
  fast.resume();
  await until(() => finish !== undefined);
  const [fastEnd, slowEnd] = [readAll(fast), readAll(slow)];
  while (connections.size > 2) {
    connections.closeIdle();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  expect((await fastEnd).body.toString()).toContain('fast');
  finish?.();
  await until(() => {
    connections.closeIdle();
    return connections.size === 1;
  });
  expect((await slowEnd).body.toString()).toContain('slow');
  expect(half.destroyed).toBe(false);
});

test('connections of others are left alone', async () => {
  const { listener, ended } = answers(1, Buffer.from('x'));
  await listen(listener, () => false);
  const client = await ask();
  client.resume();
  await ended;
  connections.closeIdle();
  connections.end();
  expect(connections.size).toBe(0);
  client.write(KEPT_ALIVE);
  await once(client, 'data');
  expect(client.destroyed).toBe(false);
});

test('in the end a whole answer that the kernel has goes on, and one that is under way is broken off', async () => {
  await listen((request, response) => {
    // Without a length and without chunks: its end is the end of the connection (HTTP/1.0).
    if (request.url === '/part') response.write('part');
    else response.end('whole');
  });
  const part = await ask('GET /part HTTP/1.0\r\n\r\n');
  const whole = await ask();
  await until(() => connections.size === 2);
  const [partEnd, wholeEnd] = [readAll(part), readAll(whole)];
  await Promise.all([once(part, 'data'), once(whole, 'data')]);
  connections.end();
  expect((await wholeEnd).error).toBeUndefined();
  expect((await partEnd).error).toBe('ECONNRESET');
  expect(connections.size).toBe(0);
});
