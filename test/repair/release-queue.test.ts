import { recv } from '../../src/kernel/libc';
import { MSG_DONTWAIT, MSG_PEEK } from '../../src/kernel/socket';
import { ReleaseQueue } from '../../src/repair/release-queue';
import { openPair, until, type Pair } from '../kernel/pair';

/** How long a socket stays at least, and how often the queue looks. */
const KEEP_MS = 20;
const SWEEP_MS = 10;
const EAGAIN = 11;

let queue: ReleaseQueue;
const pairs: Pair[] = [];

beforeEach(() => {
  queue = new ReleaseQueue();
});

afterEach(() => {
  queue.stop();
  for (const pair of pairs.splice(0)) pair.close();
});

/** Releases a connection's socket, which is not in repair here, so that its client sees when it is closed. */
function release(): Pair {
  const pair = openPair();
  pairs.push(pair);
  queue.add(pair.giveServer());
  return pair;
}

/** 0 after a FIN, -EAGAIN while the connection is there. */
const look = ({ client }: Pair): number => recv(client, Buffer.alloc(1), 1, MSG_PEEK | MSG_DONTWAIT);

test('a socket stays for as long as a late packet may be under way', async () => {
  const times: number[] = [];
  for (let i = 0; i < 4; i++) {
    const began = performance.now();
    const pair = release();
    expect(look(pair)).toBe(-EAGAIN);
    await until(() => look(pair) === 0);
    times.push(Math.round(performance.now() - began));
    // At another point between two sweeps each time.
    await new Promise((resolve) => setTimeout(resolve, 3 * i));
  }
  process.stdout.write(`release: closed after ${times.join(', ')} ms\n`);
  for (const time of times) {
    expect(time).toBeGreaterThanOrEqual(KEEP_MS - 2);
    expect(time).toBeLessThan(KEEP_MS + SWEEP_MS + 100);
  }
});

test('counts what it holds', async () => {
  expect(queue.size).toBe(0);
  const held = Array.from({ length: 20 }, () => release());
  expect(queue.size).toBe(20);
  await until(() => queue.size === 0);
  expect(held.map(look)).toEqual(Array(20).fill(0));
});

test('stopping closes everything at once', () => {
  const held = [release(), release()];
  queue.stop();
  expect(queue.size).toBe(0);
  expect(held.map(look)).toEqual([0, 0]);
});
