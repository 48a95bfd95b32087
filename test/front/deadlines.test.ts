import { Deadlines, type Expirable } from '../../src/front/deadlines';
import { until } from '../kernel/pair';

const DURATION_MS = 30;

class Item implements Expirable {
  expiresAt = 0;
  constructor(readonly name: string) {}
}

let expired: { name: string; late: number }[];
let deadlines: Deadlines<Item>;
let plannedAt: Map<string, number>;

beforeEach(() => {
  expired = [];
  plannedAt = new Map();
  deadlines = new Deadlines(DURATION_MS, ({ name }) => {
    expired.push({ name, late: performance.now() - (plannedAt.get(name) ?? 0) });
  });
});

afterEach(() => deadlines.stop());

function set(item: Item): void {
  deadlines.set(item);
  plannedAt.set(item.name, item.expiresAt);
}

/** Until everything that was set before has had its time. */
async function passed(): Promise<void> {
  const last = new Item('last');
  set(last);
  await until(() => last.expiresAt === 0);
}

test('what is set expires once, in order and not too early', async () => {
  const items = Array.from({ length: 5 }, (_, i) => new Item(String(i)));
  for (const item of items) {
    set(item);
    await new Promise((resolve) => setTimeout(resolve, 4));
  }
  await passed();
  expect(expired.map(({ name }) => name)).toEqual(['0', '1', '2', '3', '4', 'last']);
  for (const { late } of expired) expect(late).toBeGreaterThanOrEqual(0);
  expect(items.every(({ expiresAt }) => expiresAt === 0)).toBe(true);
  await passed();
  expect(expired).toHaveLength(7);
});

test('what is cleared does not expire', async () => {
  const [kept, cleared] = [new Item('kept'), new Item('cleared')];
  set(cleared);
  set(kept);
  deadlines.clear(cleared);
  deadlines.clear(cleared);
  await passed();
  expect(expired.map(({ name }) => name)).toEqual(['kept', 'last']);
});

test('what is set anew counts from then on', async () => {
  const item = new Item('again');
  set(item);
  const first = item.expiresAt;
  await new Promise((resolve) => setTimeout(resolve, DURATION_MS / 2));
  deadlines.clear(item);
  set(item);
  expect(item.expiresAt).toBeGreaterThan(first + DURATION_MS / 3);
  await passed();
  expect(expired.map(({ name }) => name)).toEqual(['again', 'last']);
  expect(expired[0]?.late).toBeGreaterThanOrEqual(0);
});

test('an item may be set again while it expires', async () => {
  const item = new Item('twice');
  let times = 0;
  const again = new Deadlines<Item>(5, () => {
    times += 1;
    if (times < 3) again.set(item);
  });
  again.set(item);
  await until(() => times === 3);
  again.stop();
});

test('many cost one timer', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const items = Array.from({ length: 20_000 }, (_, i) => new Item(String(i)));
  items.forEach(set);
  expect(timers() - before).toBeLessThanOrEqual(1);
  items.filter((_, i) => i % 2 === 0).forEach((item) => deadlines.clear(item));
  await passed();
  expect(expired).toHaveLength(10_001);
  expect(expired.map(({ name }) => Number(name)).slice(0, -1)).toEqual(
    items.flatMap((_, i) => (i % 2 === 0 ? [] : [i])),
  );
});

test('the oldest that is pending can be taken, in order, and then does not expire', async () => {
  const items = Array.from({ length: 6 }, (_, i) => new Item(String(i)));
  items.forEach(set);
  deadlines.clear(items[0] as Item);
  // Set anew, so it is the youngest now.
  set(items[1] as Item);
  deadlines.clear(items[3] as Item);
  expect(deadlines.pending).toBe(4);
  expect([deadlines.takeOldest()?.name, deadlines.takeOldest()?.name]).toEqual(['2', '4']);
  expect(deadlines.pending).toBe(2);
  await passed();
  expect(expired.map(({ name }) => name)).toEqual(['5', '1', 'last']);
  expect([deadlines.takeOldest(), deadlines.pending]).toEqual([undefined, 0]);
});

test('what is cleared gives its memory back before its time', () => {
  // Long enough that nothing expires here.
  const slow = new Deadlines<Item>(3_600_000, () => undefined);
  const pending = Array.from({ length: 10 }, (_, i) => new Item(`pending ${i}`));
  pending.forEach((item) => slow.set(item));
  for (let i = 0; i < 100_000; i++) {
    const item = new Item(String(i));
    slow.set(item);
    slow.clear(item);
  }
  expect(slow.pending).toBe(10);
  expect(slow.size).toBeLessThan(2_000);
  expect(pending.map(() => slow.takeOldest()?.name)).toEqual(pending.map(({ name }) => name));
  slow.stop();
});

test('nothing expires after stop', async () => {
  const item = new Item('stopped');
  set(item);
  deadlines.stop();
  await new Promise((resolve) => setTimeout(resolve, 2 * DURATION_MS));
  expect(expired).toEqual([]);
});
