import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { refusingEndpoint } from '../health/servers';
import { bench, eachHead, get, httpOrigin, rawOrigin, tearDown, wrote, type RawClient } from './harness';

afterEach(tearDown);

const MEBIBYTE = 'x'.repeat(1024 * 1024);

function post(length: number, ...fields: string[]): string {
  return ['POST / HTTP/1.1', 'Host: a', `Content-Length: ${length}`, ...fields, '', ''].join('\r\n');
}

/** Refuses every body without reading any of it. */
const tooLarge = (request: IncomingMessage, response: ServerResponse): void => {
  if (request.method === 'GET') response.end('next');
  else response.writeHead(413, { 'content-length': 3 }).end('no\n');
};

/** Posts more than all buffers on the way hold, without a look at the answer until everything is sent. */
async function upload(raw: RawClient): Promise<string> {
  raw.leavesWithPeer = false;
  raw.send(post(16 * MEBIBYTE.length));
  for (let i = 0; i < 16; i++) {
    if (!raw.socket.write(MEBIBYTE)) await once(raw.socket, 'drain');
  }
  raw.socket.end();
  return raw.toEnd();
}

test('a refused upload gets its answer although it goes on sending', async () => {
  const { client, errors } = await bench(await httpOrigin(tooLarge));
  const raw = client();
  expect(await upload(raw)).toMatch(/^HTTP\/1\.1 413 [^]*\r\nConnection: close\r\n\r\nno\n$/);
  expect(raw.error).toBeUndefined();
  expect(errors).toEqual([]);
});

test('the answer does not wait for the rest of the upload', async () => {
  const { client } = await bench(await httpOrigin(tooLarge));
  const raw = client().send(`${post(100)}part`);
  expect(await raw.until(/no\n$/)).toMatch(/^HTTP\/1\.1 413 /);
});

test('an origin that refuses an upload and closes', async () => {
  const origin = await rawOrigin((socket) =>
    eachHead(socket, () =>
      socket.end('HTTP/1.1 413 No\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n'),
    ),
  );
  const { client } = await bench(origin);
  const raw = client().send(`${post(100)}part`);
  expect(await raw.until(/no\n$/)).toMatch(/^HTTP\/1\.1 413 /);
});

test('an upload that the origin holds back and then refuses goes on', async () => {
  let atOrigin: Socket | undefined;
  const origin = await rawOrigin((socket) => {
    atOrigin = socket.pause();
  });
  const { client } = await bench(origin);
  const raw = client();
  raw.leavesWithPeer = false;
  raw.send(post(64 * MEBIBYTE.length));
  let sent = 1;
  while (await wrote(raw.socket, MEBIBYTE)) sent += 1;
  expect(sent).toBeLessThan(64);
  const drained = once(raw.socket, 'drain');
  atOrigin?.write('HTTP/1.1 413 No\r\nContent-Length: 3\r\n\r\nno\n');
  await drained;
  expect(await raw.until(/no\n$/)).toMatch(/^HTTP\/1\.1 413 /);
});

test('an upload to an origin that is not there gets its 502', async () => {
  const { port } = await refusingEndpoint();
  const { client } = await bench(`http://127.0.0.1:${port}`);
  const raw = client();
  expect(await upload(raw)).toMatch(/^HTTP\/1\.1 502 [^]*\r\nConnection: close\r\n[^]*Bad Gateway\n$/);
  expect(raw.error).toBeUndefined();
});

test('an early success keeps the connection, and the rest of the body is no request', async () => {
  const origin = await httpOrigin((_request, response) => response.end('early'));
  const { client } = await bench(origin);
  const raw = client().send(`${post(50)}part`);
  await raw.until(/early$/);
  raw.send(get().padEnd(46)).send(get());
  const text = await raw.until(/(?:[^]*early){2}$/);
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200']);
});

test('a client that neither sends on nor leaves is dropped after a while', async () => {
  const { client, sockets } = await bench(await httpOrigin(tooLarge), { relay: { lingerTimeout: 50 } });
  const raw = client();
  raw.leavesWithPeer = false;
  raw.send(`${post(100)}part`);
  await raw.until(/no\n$/);
  const [relaySide] = sockets;
  if (relaySide?.destroyed === false) await once(relaySide, 'close');
  expect(sockets.size).toBe(0);
});
