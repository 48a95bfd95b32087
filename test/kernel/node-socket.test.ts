import { fork } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { KernelError } from '../../src/kernel/errors';
import { close, recv } from '../../src/kernel/libc';
import {
  descriptorOf,
  sentDescriptor,
  socketOn,
  socketToSend,
  stopReading,
} from '../../src/kernel/node-socket';
import { openPair, sendAll, until, type Pair } from './pair';

let pair: Pair;

beforeEach(() => (pair = openPair()));
afterEach(() => pair.close());

const FIRST_AND_LATER = [1, 2, 3];

/** What a client reads until the end. */
async function readToEnd(fd: number): Promise<string> {
  const bytes = Buffer.alloc(64);
  const MSG_DONTWAIT = 0x40;
  let text = '';
  for (let got = -1; got !== 0;) {
    await until(() => (got = recv(fd, bytes, bytes.length, MSG_DONTWAIT)) >= 0);
    text += bytes.toString('latin1', 0, got);
  }
  return text;
}

test.each(FIRST_AND_LATER)('socket %i reads, writes, knows its ends and closes its descriptor', async () => {
  const fd = pair.giveServer();
  const socket = socketOn(fd);
  expect(descriptorOf(socket)).toBe(fd);
  expect([socket.remoteAddress, socket.localAddress]).toEqual(['127.0.0.1', '127.0.0.1']);
  expect([socket.remotePort, socket.localPort]).toEqual([
    pair.flow.readUInt16BE(32),
    pair.flow.readUInt16BE(34),
  ]);
  sendAll(pair.client, 'question');
  const [data] = (await once(socket, 'data')) as [Buffer];
  expect(data.toString()).toBe('question');
  socket.end('answer');
  expect(await readToEnd(pair.client)).toBe('answer');
  pair.hangUp();
  await once(socket, 'close');
  expect(descriptorOf(socket)).toBeUndefined();
  expect(close(fd)).toBeLessThan(0);
});

test('a client that has closed its side is answered', async () => {
  const socket: Socket = socketOn(pair.giveServer()).resume();
  const ended = once(socket, 'end');
  pair.hangUp();
  await ended;
  expect([socket.writable, socket.destroyed]).toEqual([true, false]);
  socket.destroy();
});

test('a connection goes to another process and back, with all that comes meanwhile', async () => {
  const child = fork(join(__dirname, 'send-back.fixture.cjs'));
  try {
    const socket = socketOn(pair.giveServer());
    stopReading(socket);
    sendAll(pair.client, 'before ');
    const back = once(child, 'message') as Promise<[object, Socket]>;
    const descriptor = back.then(([, sent]) => sentDescriptor(sent));
    child.send({}, socketToSend(socket));
    socket.destroy();
    sendAll(pair.client, 'meanwhile');
    const again = socketOn(await descriptor);
    let text = '';
    again.on('data', (piece: Buffer) => (text += piece.toString()));
    await until(() => text === 'before meanwhile');
    again.end('answer');
    expect(await readToEnd(pair.client)).toBe('answer');
    again.destroy();
  } finally {
    child.kill();
  }
});

test('a socket that is closed cannot be sent', () => {
  const socket = socketOn(pair.giveServer());
  socket.destroy();
  expect(() => socketToSend(socket)).toThrow(KernelError);
});

test('what is no connection of TCP is refused as by Node', () => {
  socketOn(pair.giveServer()).destroy();
  expect(() => socketOn(9999)).toThrow(/EBADF|EINVAL|Unsupported fd type/);
});
