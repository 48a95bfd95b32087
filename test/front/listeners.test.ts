import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { FrontConfig } from '../../src/config/model';
import { SOCKADDR_BYTES } from '../../src/kernel/flow';
import { close } from '../../src/kernel/libc';
import { accept, listenOn } from '../../src/kernel/socket';
import {
  closeListeners,
  deferSeconds,
  listen,
  Listeners,
  shareOut,
  type OpenListener,
} from '../../src/front/listeners';
import { portOf, until } from '../kernel/pair';

const HOST = '127.0.0.1';
const peer = Buffer.alloc(SOCKADDR_BYTES);

let ports: number[];
let listeners: Listeners;
let held: OpenListener[];
let clients: Socket[];

beforeEach(() => {
  ports = [freePort(), freePort()];
  listeners = new Listeners();
  [held, clients] = [[], []];
});

afterEach(() => {
  clients.forEach((client) => client.destroy());
  closeListeners(held);
  listeners.keepOnly(undefined);
});

function freePort(): number {
  const fd = listenOn({ host: HOST, port: 0, backlog: 1, deferAccept: 0 });
  const port = portOf(fd);
  close(fd);
  return port;
}

function config(workers: number, used = ports, protocol = 'http', head = 1000): FrontConfig {
  return {
    workers,
    routes: [],
    pools: [],
    // So short that nothing is deferred: a connection can be accepted before it has said anything.
    timeouts: { head },
    listeners: used.map((port, index) => ({
      name: `web${index}`,
      bind: { host: HOST, port, family: 4 },
      protocol,
      routing: 'per-request',
    })),
  } as unknown as FrontConfig;
}

function prepare(workers: number, used?: number[]): OpenListener[][] {
  const threads = listeners.prepare(config(workers, used));
  held.push(...threads.flat());
  return threads;
}

async function dial(port = ports[0]): Promise<Socket> {
  const client = connect({ host: HOST, port: port ?? 0 });
  clients.push(client);
  // What its queue ends with is no news.
  client.on('error', () => undefined);
  await once(client, 'connect');
  return client;
}

function acceptFrom(threads: readonly OpenListener[][]): number {
  let count = 0;
  for (const { fd } of threads.flat()) {
    for (let accepted = accept(fd, peer); accepted >= 0; accepted = accept(fd, peer)) {
      count += 1;
      close(accepted);
    }
  }
  return count;
}

describe('shareOut', () => {
  test.each([
    [1, 1, [[0]]],
    [2, 2, [[0], [1]]],
    [
      3,
      2,
      [
        [0, 2],
        [1, 2],
      ],
    ],
    [3, 1, [[0, 1, 2]]],
    [1, 3, [[0], [0], [0]]],
    [
      2,
      3,
      [
        [0, 1],
        [0, 1],
        [0, 1],
      ],
    ],
  ])('%i sockets for %i threads', (sockets, threads, expected) => {
    const all = Array.from({ length: sockets }, (_, index) => index);
    const shared = shareOut(all, threads);
    expect(shared).toEqual(expected);
    expect(new Set(shared.flat())).toEqual(new Set(all));
  });
});

describe('Listeners', () => {
  test('each thread has a descriptor of its own, and all connections come to one of them', async () => {
    const threads = prepare(2);
    expect(threads.map((own) => own.map(({ name }) => name))).toEqual([
      ['web0', 'web1'],
      ['web0', 'web1'],
    ]);
    expect(new Set(held.map(({ fd }) => fd)).size).toBe(4);
    await Promise.all(Array.from({ length: 20 }, () => dial()));
    await until(() => clients.length === 20);
    expect(acceptFrom(threads)).toBe(20);
  });

  test.each([
    [1, 2],
    [2, 1],
    [3, 2],
  ])('no queue is lost when %i threads become %i', async (before, after) => {
    const old = prepare(before);
    await Promise.all(Array.from({ length: 30 }, () => dial()));
    const threads = prepare(after);
    threads.flat().forEach(listen);
    expect(listeners.keepOnly(config(after))).toEqual([]);
    closeListeners(old.flat());
    held = threads.flat();
    await Promise.all(Array.from({ length: 30 }, () => dial()));
    expect(acceptFrom(threads)).toBe(60);
  });

  test('what an undone prepare has opened never had a queue, and what was there stays', async () => {
    const old = prepare(1, ports.slice(0, 1));
    const undone = prepare(3, ports.slice(0, 1));
    await Promise.all(Array.from({ length: 30 }, () => dial()));
    closeListeners(undone.flat());
    held = old.flat();
    listeners.abandon();
    expect(acceptFrom(old)).toBe(30);
    expect(listeners.all()).toHaveLength(1);
  });

  test('an address that is given up is named, and refuses as soon as the threads have closed theirs', async () => {
    const old = prepare(2);
    const address = `${HOST}:${ports[1]}`;
    const threads = prepare(2, ports.slice(0, 1));
    expect(listeners.keepOnly(config(2, ports.slice(0, 1)))).toEqual([address]);
    await dial(ports[1]);
    closeListeners(old.flat());
    held = threads.flat();
    await expect(dial(ports[1])).rejects.toThrow('ECONNREFUSED');
    await dial(ports[0]);
  });

  test('an address that is not here is named with advice', () => {
    const bind = { host: '198.18.255.254', port: 81, family: 4 } as const;
    const web = { name: 'web', bind, protocol: 'http', routing: 'per-request' } as const;
    const elsewhere = { ...config(1), listeners: [web] };
    expect(() => listeners.prepare(elsewhere)).toThrow(
      'listener web: bind 198.18.255.254:81: EADDRNOTAVAIL, this host does not have the address',
    );
  });
});

test('the kernel defers accepting only where the time for a head leaves room for it', () => {
  expect([deferSeconds(2000), deferSeconds(2001)]).toEqual([0, 1]);
});

test('who waits for no head has its connections at once, also behind a reload that failed', async () => {
  held.push(...listeners.prepare(config(1, ports, 'tcp', 60_000)).flat());
  const threads = [held.filter(({ raw }) => raw)];
  expect(threads[0]).toHaveLength(2);
  await dial();
  await until(() => acceptFrom(threads) === 1);
  // An http listener in its place would be told of a client that says nothing after a second.
  held.push(...listeners.prepare(config(1, ports, 'http', 60_000)).flat());
  listeners.abandon();
  const began = performance.now();
  await dial();
  await until(() => acceptFrom(threads) === 1);
  expect(performance.now() - began).toBeLessThan(500);
});
