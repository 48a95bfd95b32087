import { must } from '../../src/kernel/errors';
import { close, recv, socket } from '../../src/kernel/libc';
import { Epoll, EPOLLET, EPOLLIN, EPOLLRDHUP, watchReadable, type Unwatch } from '../../src/kernel/poll';
import { AF_INET, SOCK_CLOEXEC, SOCK_STREAM } from '../../src/kernel/socket';
import { openPair, sendAll, turns, until, type Pair } from './pair';

/** Turns of the event loop in which a watch that spins would show. */
const MANY_TURNS = 50;

let pair: Pair;
let epoll: Epoll;
let unwatch: Unwatch | undefined;

beforeEach(() => {
  pair = openPair();
  epoll = new Epoll();
});

afterEach(() => {
  unwatch?.();
  unwatch = undefined;
  epoll.close();
  pair.close();
});

/** Watches the epoll from Node's loop and notes what comes out of it. */
function watchAll(): { wakeUps: number; events: number[] } {
  const seen = { wakeUps: 0, events: [] as number[] };
  unwatch = epoll.watch(() => {
    seen.wakeUps += 1;
    epoll.drain((fd, events) => {
      expect(fd).toBe(pair.server);
      seen.events.push(events);
    });
  });
  return seen;
}

describe('watchReadable', () => {
  test('calls until the bytes are read, and not after unwatch', async () => {
    let calls = 0;
    unwatch = watchReadable(pair.server, () => (calls += 1));
    await turns(MANY_TURNS);
    expect(calls).toBe(0);

    sendAll(pair.client, 'x');
    await until(() => calls >= 3);
    recv(pair.server, Buffer.alloc(8), 8, 0);
    await turns(2);
    const settled = calls;
    await turns(MANY_TURNS);
    expect(calls).toBe(settled);

    unwatch();
    unwatch();
    sendAll(pair.client, 'y');
    await turns(MANY_TURNS);
    expect(calls).toBe(settled);
  });
});

describe('Epoll', () => {
  test('wakes once for bytes that stay in the queue, edge-triggered', async () => {
    epoll.add(pair.server, EPOLLIN | EPOLLRDHUP | EPOLLET);
    const seen = watchAll();
    sendAll(pair.client, 'GET /');
    await until(() => seen.events.length === 1);
    await turns(MANY_TURNS);
    expect(seen).toEqual({ wakeUps: 1, events: [EPOLLIN] });

    sendAll(pair.client, ' HTTP/1.1');
    await until(() => seen.events.length === 2);
    pair.hangUp();
    await until(() => seen.events.length === 3);
    await turns(MANY_TURNS);
    expect(seen).toEqual({ wakeUps: 3, events: [EPOLLIN, EPOLLIN, EPOLLIN | EPOLLRDHUP] });
    process.stdout.write(`epoll: 3 events, 3 wake-ups in ${2 * MANY_TURNS} turns\n`);
  });

  test('keeps waking for them, level-triggered', async () => {
    epoll.add(pair.server, EPOLLIN);
    const seen = watchAll();
    sendAll(pair.client, 'GET /');
    await until(() => seen.wakeUps >= 3);
  });

  test('tells of what happened before the descriptor was added', () => {
    sendAll(pair.client, 'early');
    epoll.add(pair.server, EPOLLIN | EPOLLET);
    expect(epoll.drain(() => undefined)).toBe(1);
    expect(epoll.drain(() => undefined)).toBe(0);
  });

  test('adding twice is harmless, removing ends it, and may come twice', () => {
    epoll.add(pair.server, EPOLLIN | EPOLLET);
    epoll.add(pair.server, EPOLLIN | EPOLLET);
    epoll.remove(pair.server);
    epoll.remove(pair.server);
    sendAll(pair.client, 'x');
    expect(epoll.drain(() => undefined)).toBe(0);
  });

  test('a tag tells the file that is watched from a later one of the same number', () => {
    const drained: unknown[] = [];
    const drain = (): number =>
      epoll.drain((fd, events, tag) => drained.push([fd === pair.server, events, tag]));
    sendAll(pair.client, 'x');
    epoll.add(pair.server, EPOLLIN | EPOLLET, 0xffffffff);
    drain();
    epoll.remove(pair.server);
    epoll.add(pair.server, EPOLLIN | EPOLLET, 7);
    drain();
    expect(drained).toEqual([
      [true, EPOLLIN, 0xffffffff],
      [true, EPOLLIN, 7],
    ]);
  });

  test('a descriptor that is not open is an error with its step', () => {
    expect(() => epoll.add(1_000_000, EPOLLIN)).toThrow('epoll_ctl add: EBADF');
  });

  test('takes many ready descriptors in bounded portions and loses none', () => {
    // A socket that was never connected is hung up, and so ready.
    const many = Array.from({ length: 300 }, () =>
      must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 'socket'),
    );
    for (const fd of many) epoll.add(fd, EPOLLIN | EPOLLET);
    const seen = new Set<number>();
    const portions: number[] = [];
    do portions.push(epoll.drain((fd) => seen.add(fd)));
    while (portions.at(-1) !== 0);
    many.forEach(close);
    expect(portions).toEqual([256, 44, 0]);
    expect([...seen].sort((a, b) => a - b)).toEqual([...many].sort((a, b) => a - b));
  });
});
