import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';
import { refusingEndpoint } from '../health/servers';
import { bench, eachHead, get, rawOrigin, tearDown, wrote } from './harness';

afterEach(tearDown);

const ASK = get('/chat', 'Connection: keep-alive, Upgrade', 'Upgrade: x/1', 'X-Key: 1');
const AGREE = 'HTTP/1.1 101 Here We Go\r\nupgrade: x/1\r\nConnection: Upgrade\r\nX-Key: 2\r\n\r\n';

interface Opened {
  readonly origin: string;
  readonly heads: string[];
  /** The origin's end of the first tunnel. */
  readonly socket: Promise<Socket>;
}

/** An origin that answers an upgrade with `answer` and leaves the rest to the test. */
async function answering(answer: string): Promise<Opened> {
  const heads: string[] = [];
  let opened = (_socket: Socket): void => undefined;
  const socket = new Promise<Socket>((resolve) => {
    opened = resolve;
  });
  const origin = await rawOrigin((connection) => {
    connection.allowHalfOpen = true;
    connection.once('data', (chunk: Buffer) => {
      heads.push(chunk.toString('latin1'));
      connection.pause();
      connection.write(answer, 'latin1');
      opened(connection);
    });
  });
  return { origin, heads, socket };
}

test('1,000 messages of a WebSocket come back', async () => {
  const server = createHttpServer();
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port, statuses } = await bench(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const socket = new WebSocket(`ws://127.0.0.1:${port}/echo`);
  await once(socket, 'open');
  const sent = Array.from({ length: 1000 }, (_, i) => `${i}:${'x'.repeat(i * 7)}`);
  const back: string[] = [];
  const all = new Promise<void>((resolve) => {
    socket.on('message', (data) => {
      if (back.push((data as Buffer).toString()) === sent.length) resolve();
    });
  });
  for (const message of sent) socket.send(message);
  await all;
  expect(back).toEqual(sent);
  socket.close(4321, 'done');
  expect((await once(socket, 'close'))[0]).toBe(4321);
  expect(statuses).toEqual([101]);
  await new Promise((resolve) => server.close(resolve));
});

describe('an origin that agrees', () => {
  test('is asked with the fields of the client, and its head comes back as it is', async () => {
    const { origin, heads } = await answering(AGREE);
    const { client } = await bench(origin);
    expect(await client().send(ASK).until('\r\n\r\n')).toBe(AGREE);
    expect(heads[0]).toBe(
      'GET /chat HTTP/1.1\r\nHost: a.example\r\nX-Key: 1\r\nX-Forwarded-For: 127.0.0.1\r\n' +
        'X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.example\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n\r\n',
    );
  });

  test('gets what the client sent too early, and the client what came with the head', async () => {
    const { origin, socket } = await answering(`${AGREE}welcome`);
    const { client, relay } = await bench(origin);
    const raw = client().send(`${ASK}early `);
    await raw.until(/welcome$/);
    raw.send('late');
    let got = '';
    for await (const chunk of await socket) {
      got += (chunk as Buffer).toString();
      if (got === 'early late') break;
    }
    expect(got).toBe('early late');
    expect(relay.bytesToClients).toBe('welcome'.length);
  });

  test('may go on talking after the client has finished', async () => {
    const { origin, socket } = await answering(AGREE);
    const { client } = await bench(origin);
    const raw = client().send(ASK);
    await raw.until('\r\n\r\n');
    raw.socket.end('last words');
    const atOrigin = await socket;
    const got: Buffer[] = [];
    atOrigin.on('data', (chunk: Buffer) => got.push(chunk)).resume();
    await once(atOrigin, 'end');
    expect(Buffer.concat(got).toString()).toBe('last words');
    atOrigin.end('answer');
    expect(await raw.toEnd()).toBe(`${AGREE}answer`);
    expect(raw.error).toBeUndefined();
  });

  test('may finish first', async () => {
    const { origin, socket } = await answering(AGREE);
    const { client } = await bench(origin);
    const raw = client();
    raw.leavesWithPeer = false;
    raw.send(ASK);
    await raw.until('\r\n\r\n');
    const atOrigin = await socket;
    const ended = once(raw.socket, 'end');
    atOrigin.end();
    await ended;
    raw.socket.end('still here');
    const got: Buffer[] = [];
    atOrigin.on('data', (chunk: Buffer) => got.push(chunk)).resume();
    await once(atOrigin, 'end');
    expect(Buffer.concat(got).toString()).toBe('still here');
  });

  test('is held back by a client that does not read', async () => {
    const { origin, socket } = await answering(AGREE);
    const { client } = await bench(origin);
    const raw = client().send(ASK);
    await raw.until('\r\n\r\n');
    raw.socket.removeAllListeners('data');
    raw.socket.pause();
    const atOrigin = await socket;
    const piece = Buffer.alloc(1024 * 1024);
    let sent = 0;
    // Until the origin's kernel takes nothing for a while.
    while (sent < 64 && (await wrote(atOrigin, piece))) sent += 1;
    expect(sent).toBeLessThan(32);
  });

  test.each<[string, (client: Socket, origin: Socket) => [Socket, Socket]]>([
    ['client', (client, origin) => [client, origin]],
    ['origin', (client, origin) => [origin, client]],
  ])('a %s that breaks off takes the other side along', async (_name, order) => {
    const { origin, socket } = await answering(AGREE);
    const { client, relay } = await bench(origin);
    const raw = client().send(ASK);
    await raw.until('\r\n\r\n');
    const atOrigin = await socket;
    atOrigin.resume();
    const [leaves, stays] = order(raw.socket, atOrigin);
    // Not events.once: that rejects on the reset, which is what is expected here.
    const reset = new Promise((resolve) => stays.once('error', resolve));
    leaves.resetAndDestroy();
    expect(await reset).toMatchObject({ code: 'ECONNRESET' });
    await relay.close();
  });

  test('is let go when nobody says anything for long enough', async () => {
    const { origin, socket } = await answering(AGREE);
    const { client } = await bench(origin, { relay: { tunnelIdleTimeout: 50 } });
    const raw = client().send(ASK);
    (await socket).resume();
    await raw.closed;
    expect(raw.received).toBe(AGREE);
  });
});

describe('an origin that declines', () => {
  test.each([
    ['with a length', 'HTTP/1.1 401 Go Away\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nno', /\r\n\r\nno$/],
    [
      'in chunks',
      'HTTP/1.1 401 Go Away\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\nX-T: 1\r\n\r\n',
      /\r\n\r\n2\r\nno\r\n0\r\nX-T: 1\r\n\r\n$/,
    ],
  ])('%s: its response is the last of the connection', async (_name, answer, body) => {
    const { origin } = await answering(answer);
    const { client, statuses, relay } = await bench(origin);
    const raw = client().send(ASK);
    const text = await raw.toEnd();
    expect(text).toMatch(/^HTTP\/1\.1 401 Go Away\r\nX-A: 1\r\n[^]*Connection: close\r\n/);
    expect(text).toMatch(body);
    expect(statuses).toEqual([401]);
    await relay.close();
  });

  test('with more than fits into the buffers', async () => {
    const size = 16 * 1024 * 1024;
    const { origin, socket } = await answering(`HTTP/1.1 426 No\r\nContent-Length: ${size}\r\n\r\n`);
    const { client } = await bench(origin);
    const raw = client().send(ASK);
    (await socket).write(Buffer.alloc(size, 'x'));
    const text = await raw.toEnd();
    expect(text.length - text.indexOf('\r\n\r\n') - 4).toBe(size);
  });

  test('and breaks off in the middle', async () => {
    const { origin, socket } = await answering('HTTP/1.1 401 No\r\nContent-Length: 9\r\n\r\npart');
    const { client, errors } = await bench(origin);
    const raw = client().send(ASK);
    await raw.until('part');
    (await socket).destroy();
    await raw.closed;
    expect(raw.error?.code).toBe('ECONNRESET');
    expect(errors).toHaveLength(1);
  });
});

describe('an origin that fails', () => {
  test('not there: 502', async () => {
    const { port } = await refusingEndpoint();
    const { client, errors } = await bench(`http://127.0.0.1:${port}`);
    expect(await client().send(ASK).toEnd()).toMatch(/^HTTP\/1\.1 502 [^]*502 Bad Gateway\n$/);
    expect(errors).toHaveLength(1);
  });

  test('silent: 504', async () => {
    const { origin } = await answering('');
    const { client } = await bench(origin, { relay: { headersTimeout: 50 } });
    expect(await client().send(ASK).toEnd()).toMatch(/^HTTP\/1\.1 504 /);
  });

  test('closing: 502', async () => {
    const origin = await rawOrigin((socket) => eachHead(socket, () => socket.end()));
    const { client } = await bench(origin);
    expect(await client().send(ASK).toEnd()).toMatch(/^HTTP\/1\.1 502 /);
  });
});

test('a client that resets its connection before the answer cancels the request', async () => {
  const { origin, socket } = await answering('');
  const { client, errors } = await bench(origin);
  const raw = client().send(ASK);
  const atOrigin = await socket;
  atOrigin.resume();
  const ended = once(atOrigin, 'end');
  raw.socket.resetAndDestroy();
  await ended;
  expect(errors).toEqual([]);
});
