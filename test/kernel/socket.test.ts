import { readFileSync } from 'node:fs';
import { EAGAIN } from '../../src/kernel/errors';
import { formatFlow, SOCKADDR_BYTES } from '../../src/kernel/flow';
import { close, recv, send } from '../../src/kernel/libc';
import * as sockets from '../../src/kernel/socket';
import { dial, openPair, portOf, sendAll, until, type Pair } from './pair';

const MSG_OOB = 1;
const address = Buffer.alloc(SOCKADDR_BYTES);

let pair: Pair | undefined;
afterEach(() => {
  pair?.close();
  pair = undefined;
});

function statusFlags(fd: number): number {
  const found = /^flags:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'));
  return parseInt(found?.[1] ?? '0', 8);
}

describe.each(['127.0.0.1', '::1'])('a connection over %s', (host) => {
  test('is accepted with its addresses, non-blocking and close-on-exec', () => {
    pair = openPair(host);
    const literal = host.includes(':') ? `[${host}]` : host;
    expect(formatFlow(pair.flow)).toBe(
      `${literal}:${portOf(pair.client)}>${literal}:${portOf(pair.listener)}`,
    );
    const wanted = sockets.SOCK_NONBLOCK | sockets.SOCK_CLOEXEC;
    expect(statusFlags(pair.server) & wanted).toBe(wanted);
    expect(statusFlags(pair.listener) & wanted).toBe(wanted);
    expect(sockets.accept(pair.listener, address)).toBe(-EAGAIN);
  });

  test('can be peeked without taking anything', async () => {
    const { server, client } = (pair = openPair(host));
    const into = Buffer.alloc(16);
    const peek = (): number => recv(server, into, into.length, sockets.MSG_PEEK | sockets.MSG_DONTWAIT);
    expect(peek()).toBe(-EAGAIN);
    sendAll(client, 'hello');
    await until(() => sockets.unreadBytes(server) === 5);
    expect([peek(), peek(), sockets.unreadBytes(server)]).toEqual([5, 5, 5]);
    expect(into.toString('latin1', 0, 5)).toBe('hello');
  });
});

test('a listener on :: leaves IPv4 to others', () => {
  const listener = sockets.listenOn({ host: '::', port: 0, backlog: 1, deferAccept: 0 });
  try {
    expect(() => dial('127.0.0.1', portOf(listener))).toThrow('connect: ECONNREFUSED');
    close(dial('::1', portOf(listener)));
  } finally {
    close(listener);
  }
});

test('two threads may listen on the same port', () => {
  pair = openPair();
  close(sockets.listenOn({ host: '127.0.0.1', port: portOf(pair.listener), backlog: 1, deferAccept: 0 }));
});

test('an address of another host is refused with the step and the address', () => {
  const options = { host: '198.18.255.254', port: 81, backlog: 1, deferAccept: 0 };
  expect(() => sockets.listenOn(options)).toThrow('bind 198.18.255.254:81: EADDRNOTAVAIL');
});

test('with deferAccept a connection without a word is not accepted', async () => {
  const listener = sockets.listenOn({ host: '127.0.0.1', port: 0, backlog: 8, deferAccept: 5 });
  const client = dial('127.0.0.1', portOf(listener));
  expect(sockets.accept(listener, address)).toBe(-EAGAIN);
  sendAll(client, 'G');
  let server = -1;
  await until(() => (server = sockets.accept(listener, address)) >= 0);
  expect(sockets.unreadBytes(server)).toBe(1);
  [listener, client, server].forEach(close);
});

describe('an urgent byte', () => {
  async function sendUrgent(): Promise<Pair> {
    const made = openPair();
    sendAll(made.client, 'ab');
    sendAll(made.client, '!', MSG_OOB);
    sendAll(made.client, 'cd');
    await until(() => recv(made.server, Buffer.alloc(8), 8, sockets.MSG_PEEK) > 0);
    return made;
  }

  test('stays in the stream of an accepted socket, where it was sent', async () => {
    const { server } = (pair = await sendUrgent());
    await until(() => sockets.unreadBytes(server) >= 5);
    const into = Buffer.alloc(16);
    // One read stops in front of it, whatever the option (net/ipv4/tcp.c, tcp_recvmsg_locked).
    expect(recv(server, into, into.length, 0)).toBe(2);
    expect(recv(server, into.subarray(2), into.length, 0)).toBe(3);
    expect(into.toString('latin1', 0, 5)).toBe('ab!cd');
  });

  test('would hide what follows it without SO_OOBINLINE', async () => {
    const { server } = (pair = await sendUrgent());
    await until(() => sockets.unreadBytes(server) >= 5);
    sockets.setOption(server, sockets.SOL_SOCKET, sockets.SO_OOBINLINE, 0);
    expect(sockets.unreadBytes(server)).toBe(2);
  });
});

test('the send queue is told apart into what was sent and what was not', async () => {
  const { server, client } = (pair = openPair());
  expect([sockets.unacknowledgedBytes(server), sockets.unsentBytes(server)]).toEqual([0, 0]);
  const data = Buffer.alloc(64 * 1024);
  let written = 0;
  for (let taken = 0; taken >= 0; written += Math.max(0, taken)) {
    taken = send(server, data, data.length, sockets.MSG_DONTWAIT);
  }
  // Nobody reads: the client's window fills, and what it took is acknowledged.
  await until(() => sockets.unreadBytes(client) + sockets.unacknowledgedBytes(server) === written);
  const unsent = sockets.unsentBytes(server);
  expect(unsent).toBeGreaterThan(0);
  expect(unsent).toBeLessThanOrEqual(sockets.unacknowledgedBytes(server));
});

test('descriptors that are no sockets are told by errno', () => {
  const nobody = 1_000_000;
  expect(sockets.unreadBytes(nobody)).toBe(-9);
  expect(sockets.setOption(nobody, sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)).toBe(-9);
  expect(sockets.localAddress(nobody, address)).toBe(-9);
});

test('options are written and read as the kernel has them', () => {
  const { server } = (pair = openPair());
  const value = Buffer.alloc(4);
  expect(sockets.setOption(server, sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)).toBe(0);
  expect(sockets.getOption(server, sockets.SOL_SOCKET, sockets.SO_REUSEADDR, value, 4)).toBe(0);
  expect(value.readInt32LE(0)).toBe(1);
  expect(sockets.setOptionU32(server, sockets.IPPROTO_TCP, sockets.TCP_QUEUE_SEQ, 0xffffffff)).toBeLessThan(
    0,
  );
});
