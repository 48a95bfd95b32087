import { connect, type Socket } from 'node:net';
import { Acceptor, type AcceptorOptions } from '../../src/front/acceptor';
import type { ListenerLimits } from '../../src/config/model';
import type { Connection } from '../../src/front/connection';
import { ConnectionCounts } from '../../src/front/connection-counts';
import { close } from '../../src/kernel/libc';
import { IPPROTO_TCP, listenOn, setOption } from '../../src/kernel/socket';
import { Http1Peek } from '../../src/peek/http1';
import { DumpBuffer } from '../../src/repair/dump';
import { dial as dialBare, portOf, sendAll, until } from '../kernel/pair';

const TCP_NODELAY = 1;
const HEAD = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const DEFAULTS: AcceptorOptions = {
  headBytes: 16_384,
  headMs: 60_000,
  capacity: { connections: 100, files: 200 },
  counts: undefined,
  threads: 1,
};

interface Client {
  readonly socket: Socket;
  /** Error code, or `end`. */
  ended: string | undefined;
}

let acceptor: Acceptor;
let port: number;
let clients: Client[];
/** What the acceptor gave away: descriptors that are the test's. */
let heads: Connection[];
let raws: Connection[];
let refused: { status: number; reason: string }[];
let events: string[];
let otherFiles: number;

function open(options: Partial<AcceptorOptions>, limits?: ListenerLimits, raw = false): void {
  // A client counts when its first bytes are there.
  const fd = listenOn({ host: '127.0.0.1', port: 0, backlog: 4096, deferAccept: raw ? 0 : 1 });
  port = portOf(fd);
  [clients, heads, raws, refused, events, otherFiles] = [[], [], [], [], [], 0];
  acceptor = new Acceptor({ ...DEFAULTS, ...options }, new DumpBuffer(), {
    otherFiles: () => otherFiles,
    accepted: () => undefined,
    head: (connection) => heads.push(connection),
    raw: (connection) => raws.push(connection),
    refused: (connection, status, reason) => {
      refused.push({ status, reason });
      end(connection);
    },
    silent: () => events.push('silent'),
    exhausted: (resource) => events.push(resource),
    evicted: () => events.push('evicted'),
    crowded: () => events.push('crowded'),
  });
  const listener = { name: 'web', host: '127.0.0.1', address: '127.0.0.1', fd, judged: false, raw };
  acceptor.start([{ ...listener, ...(limits && { limits }) }]);
}

/** Ends a connection that the acceptor has given away. */
function end(connection: Connection): void {
  close(connection.fd);
  acceptor.ended(connection);
}

async function dial(text: string): Promise<Client> {
  const client: Client = { socket: connect({ port, host: '127.0.0.1', noDelay: true }), ended: undefined };
  clients.push(client);
  client.socket.on('error', (error: NodeJS.ErrnoException) => (client.ended ??= error.code));
  client.socket.on('end', () => (client.ended ??= 'end'));
  client.socket.resume();
  client.socket.write(text);
  // One after the other, so that the oldest is the first.
  const before = progress();
  await until(() => progress() > before, 200).catch(() => undefined);
  return client;
}

/** Grows with everything that happens to a client. */
function progress(): number {
  return acceptor.waiting + heads.length + raws.length + refused.length + events.length;
}

/** So many clients that begin their head and leave it at that. */
async function dialSlow(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await dial('G');
}

afterEach(() => {
  for (const { socket } of clients) socket.destroy();
  for (const { fd } of [...heads, ...raws]) close(fd);
  acceptor.stopListening(new Set());
  acceptor.stop();
});

describe('at the limit of connections', () => {
  test('the oldest that waits for its head makes room for each new one', async () => {
    open({ capacity: { connections: 10, files: 200 } });
    await dialSlow(10);
    expect([acceptor.active, acceptor.waiting, events]).toEqual([10, 10, []]);
    for (let i = 0; i < 15; i++) await dial(HEAD);
    // The limit is noticed when it is exceeded.
    expect(heads).toHaveLength(11);
    await until(() => clients.filter(({ ended }) => ended).length === 10);
    expect(clients.slice(0, 10).map(({ ended }) => ended)).toEqual(
      Array.from({ length: 10 }, () => 'ECONNRESET'),
    );
    // The ten are in somebody's hands now, so that the others have to wait.
    expect(acceptor.waiting).toBe(0);
    expect(events.filter((event) => event === 'evicted')).toHaveLength(10);
    expect(events.at(-1)).toBe('crowded');
  });

  test('with nobody to evict new ones wait in the queue until one ends', async () => {
    open({ capacity: { connections: 5, files: 200 } });
    for (let i = 0; i < 12; i++) await dial(HEAD);
    expect(heads).toHaveLength(6);
    expect(events).toEqual(['connections', 'crowded']);
    for (let served = 0; served < 12; served++) {
      await until(() => heads.length > 0);
      end(heads.shift() as Connection);
    }
    expect(acceptor.active).toBe(0);
    await until(() => clients.every(({ ended }) => ended !== undefined));
  });
});

test('descriptors that connections take elsewhere count too', async () => {
  open({ capacity: { connections: 100, files: 10 } });
  otherFiles = 7;
  await dialSlow(3);
  expect([acceptor.active, events]).toEqual([3, []]);
  await dialSlow(1);
  expect([acceptor.active, events]).toEqual([3, ['files', 'evicted']]);

  // With nobody to evict new ones wait in the queue until descriptors are free.
  otherFiles = 10;
  for (let i = 0; i < 5; i++) await dial(HEAD);
  await until(() => events.at(-1) === 'crowded');
  const inHand = heads.length;
  await new Promise((resolve) => setTimeout(resolve, 250));
  expect(heads).toHaveLength(inHand);
  expect(inHand).toBeLessThan(5);
  otherFiles = 0;
  await until(() => heads.length === 5);
});

describe('a head in pieces', () => {
  /** The reader is the acceptor's own: it is seen through its class. */
  let reads: jest.SpyInstance;

  beforeEach(() => {
    reads = jest.spyOn(Http1Peek.prototype, 'read');
  });

  afterEach(() => jest.restoreAllMocks());

  /** Sends octet by octet over a bare descriptor, so that the acceptor sees each by itself; returns the descriptor. */
  async function drip(text: string): Promise<number> {
    const fd = dialBare('127.0.0.1', port);
    setOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    for (const octet of text) {
      if (refused.length > 0) break;
      sendAll(fd, octet);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return fd;
  }

  test('is read about as often as it has lines, however small the pieces are', async () => {
    open({});
    const lines = Array.from({ length: 4 }, (_, i) => `X-${i}: ${'x'.repeat(300)}\r\n`).join('');
    close(await drip(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`));
    await until(() => heads.length === 1);
    process.stdout.write(`  head of 1.2 KB octet by octet: read ${reads.mock.calls.length} times\n`);
    // Each octet by itself would be 1,260.
    expect(reads.mock.calls.length).toBeLessThan(150);
  });

  test.each([
    ['of one line without an end', 'GET /' + 'x'.repeat(600), { status: 431, reason: 'head_too_large' }],
    [
      'with an octet that is none',
      'GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n',
      { status: 400, reason: 'field_value' },
    ],
  ])('%s is refused', async (_what, text, answer) => {
    open({ headBytes: 512 });
    close(await drip(text));
    await until(() => refused.length === 1);
    expect(refused).toEqual([answer]);
  });

  test.each([
    ['when its time is up', { headMs: 300 }, false],
    ['when its client goes', {}, true],
  ])('is judged as a whole %s', async (_when, options, goes) => {
    open(options);
    const client = await dial(`GET / HTTP/1.1\r\nX: ${'x'.repeat(1000)}`);
    await until(() => reads.mock.calls.length === 1);
    // So little more that it is not looked at, and it is malformed.
    client.socket.write('\0');
    if (goes) client.socket.end();
    await until(() => refused.length === 1);
    expect(refused).toEqual([{ status: 400, reason: 'field_value' }]);
  });

  test('that is merely late is refused with 408', async () => {
    open({ headMs: 300 });
    await dial('GET / HTTP/1.1\r\n');
    await until(() => refused.length === 1);
    expect(refused).toEqual([{ status: 408, reason: 'timeout' }]);
  });
});

describe('a client that has as much as it may', () => {
  test('is refused until one of its connections has ended, wherever', async () => {
    const counts = new ConnectionCounts();
    open({ counts }, { client_connections: 2 });
    await dial(HEAD);
    await dial(HEAD);
    await until(() => heads.length === 2);
    const [first, second] = heads as [Connection, Connection];
    // Handed off, it is open still.
    close(first.fd);
    acceptor.handedOff(first);
    await dial(HEAD);
    expect(refused).toEqual([{ status: 429, reason: 'client_connections' }]);
    counts.over(first.flow);
    await dial(HEAD);
    await until(() => heads.length === 3);
    end(second);
    await dial(HEAD);
    await until(() => heads.length === 4);
    await dial(HEAD);
    expect(refused).toHaveLength(2);
    heads.slice(2).forEach(end);
  });

  test('is told another status when all have too much', async () => {
    open({ counts: new ConnectionCounts() }, { connections: 1, client_connections: 5 });
    await dial(HEAD);
    await until(() => heads.length === 1);
    await dial(HEAD);
    expect(refused).toEqual([{ status: 503, reason: 'listener_connections' }]);
    heads.forEach(end);
  });

  test('may come as often as it has saved up for', async () => {
    open({ counts: new ConnectionCounts() }, { client_rate: 1, client_burst: 3 });
    for (let k = 0; k < 4; k++) await dial(HEAD);
    await until(() => heads.length === 3);
    expect(refused).toEqual([{ status: 429, reason: 'client_rate' }]);
    heads.forEach(end);
  });
});

describe('connections without a head', () => {
  test('are given away at once, whoever speaks first', async () => {
    open({ headMs: 60_000 }, undefined, true);
    const silent = await dial('');
    const talking = await dial('anything but a head');
    await until(() => raws.length === 2);
    expect(raws.map(({ raw, listener, judged }) => [raw, listener, judged])).toEqual([
      [true, 'web', false],
      [true, 'web', false],
    ]);
    expect([heads, refused, events, acceptor.active, acceptor.waiting]).toEqual([[], [], [], 2, 0]);
    expect([silent.ended, talking.ended]).toEqual([undefined, undefined]);
  });

  test('have the limits of their listener', async () => {
    const counts = new ConnectionCounts();
    open({ counts }, { connections: 2 }, true);
    for (let i = 0; i < 3; i++) await dial('');
    await until(() => refused.length === 1);
    expect(raws).toHaveLength(2);
    expect(refused).toEqual([{ status: 503, reason: 'listener_connections' }]);
    for (const connection of raws.splice(0)) end(connection);
    await dial('');
    await until(() => raws.length === 1);
  });
});
