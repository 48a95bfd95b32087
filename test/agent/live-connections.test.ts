import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { LiveConnections, type LiveConnection } from '../../src/agent/live-connections';
import { must } from '../../src/kernel/errors';
import { makeFlow, SOCKADDR_BYTES } from '../../src/kernel/flow';
import { recv } from '../../src/kernel/libc';
import { descriptorOf, socketOn } from '../../src/kernel/node-socket';
import { accept, unacknowledgedBytes, unreadBytes } from '../../src/kernel/socket';
import { openPair, portOf, until, type Pair } from '../kernel/pair';

let closed: LiveConnection[];
let delivered: boolean[];
let live: LiveConnections;
let pairs: Pair[];

beforeEach(() => {
  // Bound to this test: sockets of the one before may be closed a turn later.
  const own: LiveConnection[] = (closed = []);
  const known: boolean[] = (delivered = []);
  live = new LiveConnections((connection, hasAll) => {
    own.push(connection);
    known.push(hasAll);
  });
  pairs = [];
});

afterEach(() => {
  for (const { socket } of live) socket.destroy();
  for (const pair of pairs) pair.close();
});

/** A connection that was adopted, with a real client at its other end. */
function adopt(sequence: number): { connection: LiveConnection; pair: Pair } {
  const pair = openPair();
  pairs.push(pair);
  const socket = new Socket({ fd: pair.giveServer(), allowHalfOpen: true });
  const flow = makeFlow('198.18.1.1', 40_000 + sequence, '198.19.0.1', 80);
  return { pair, connection: live.add(flow, { epoch: 7, sequence }, 'f1', socket) };
}

test('a connection is live until its socket is closed, and that is told once', async () => {
  const { connection } = adopt(1);
  const other = adopt(2).connection;
  expect([...live]).toEqual([connection, other]);
  expect(connection).toMatchObject({ front: 'f1', id: { epoch: 7, sequence: 1 } });
  expect(performance.now() - connection.since).toBeLessThan(1000);

  connection.socket.destroy();
  connection.socket.destroy();
  await once(connection.socket, 'close');
  expect(closed).toEqual([connection]);
  expect([...live]).toEqual([other]);
  expect(live.size).toBe(1);
});

test('a half-closed connection is still live', async () => {
  const { connection, pair } = adopt(1);
  pair.hangUp();
  connection.socket.resume();
  await once(connection.socket, 'end');
  expect([live.size, closed.length]).toEqual([1, 0]);
  connection.socket.end();
  await until(() => closed.length === 1);
  expect(live.size).toBe(0);
});

test('octets are counted over all connections, also those that are gone', async () => {
  const [first, second] = [adopt(1).connection, adopt(2).connection];
  expect(live.bytesWritten).toBe(0);
  first.socket.write(Buffer.alloc(1000));
  second.socket.write(Buffer.alloc(200));
  await until(() => live.bytesWritten === 1200);
  first.socket.destroy();
  await until(() => live.size === 1);
  expect(live.bytesWritten).toBe(1200);
  second.socket.write(Buffer.alloc(30));
  await until(() => live.bytesWritten === 1230);
});

test('a client that resets its connection ends it', async () => {
  const { connection, pair } = adopt(1);
  connection.socket.on('error', () => undefined);
  // Closing with unread bytes is a RST.
  connection.socket.write('unread');
  await until(() => unreadBytes(pair.client) === 6);
  pair.hangUp();
  connection.socket.resume();
  await until(() => closed.length === 1);
});

describe('what the client is known to have when its connection is closed', () => {
  test('everything, where it closed after it had read the end', async () => {
    const { connection, pair } = adopt(1);
    connection.socket.resume().end('answer');
    await once(connection.socket, 'finish');
    await until(() => unacknowledgedBytes(descriptorOf(connection.socket) ?? -1) === 0);
    expect(recv(pair.client, Buffer.alloc(16), 16, 0)).toBe('answer'.length);
    expect(recv(pair.client, Buffer.alloc(16), 16, 0)).toBe(0);
    pair.hangUp();
    await until(() => closed.length === 1);
    expect(delivered).toEqual([true]);
  });

  test('nobody knows, where it closed first: the end is still on its way', async () => {
    const { connection, pair } = adopt(1);
    connection.socket.resume().once('end', () => connection.socket.end('too late'));
    pair.hangUp();
    await until(() => closed.length === 1);
    expect(delivered).toEqual([false]);
  });

  test('nobody knows, where the server gave up', async () => {
    const { connection } = adopt(1);
    connection.socket.destroy();
    await until(() => closed.length === 1);
    expect(delivered).toEqual([false]);
  });

  test('nobody knows, where it half-closed and has not taken all of the answer', async () => {
    const { pair } = adopt(1);
    const client = connect({ host: '127.0.0.1', port: portOf(pair.listener), allowHalfOpen: true });
    await once(client, 'connect');
    const socket = socketOn(must(accept(pair.listener, Buffer.alloc(SOCKADDR_BYTES)), 'accept'));
    live.add(makeFlow('198.18.1.1', 2, '198.19.0.1', 80), { epoch: 7, sequence: 2 }, 'f1', socket);
    // More than both buffers hold, so that some of it waits for the client, which does not read.
    socket.resume().write(Buffer.alloc(16 * 1024 * 1024));
    socket.end();
    client.end();
    await once(socket, 'end');
    socket.destroy();
    await until(() => closed.length === 1);
    expect(delivered).toEqual([false]);
    client.destroy();
  });
});
