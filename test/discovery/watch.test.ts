import type { Logger } from 'pino';
import { Watch, type DiscoveryResult } from '../../src/discovery/watch';
import { silentLogger } from '../../src/observe/log';
import type { Zone, ZoneEntry } from '../lab/dns-server';
import { MemoryResolver } from './memory-resolver';

const QUESTION = { dns: 'api.internal', records: 'addresses', families: [4], loopback: false } as const;
const [MIN_MS, MAX_MS] = [1000, 8000];

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

interface Line {
  readonly level: string;
  readonly message: string;
  readonly cause?: string;
}

/** A watch of a name whose zone may change, with what it did and said. */
function watch(zone: ZoneEntry | undefined, known?: string[]) {
  const results: DiscoveryResult[] = [];
  const lines: Line[] = [];
  const resolvers: MemoryResolver[] = [];
  let entry = zone;
  const makeResolver = (): MemoryResolver => {
    const now: Zone = entry === undefined ? {} : { 'api.internal/A': entry };
    const resolver = new MemoryResolver(now);
    resolvers.push(resolver);
    return resolver;
  };
  const logger = silentLogger();
  for (const level of ['info', 'warn', 'error'] as const) {
    logger[level] = ((fields: { cause?: string }, message: string) =>
      void lines.push({
        level,
        message,
        ...(fields.cause !== undefined && { cause: fields.cause }),
      })) as Logger['info'];
  }
  const members = known?.map((host) => ({ name: host, addresses: [{ host, family: 4 as const }] }));
  const options = { pool: 'web', question: QUESTION, minMs: MIN_MS, maxMs: MAX_MS, makeResolver };
  const made = new Watch(options, members, logger, (result) => results.push(result));
  return {
    watch: made,
    results,
    lines,
    resolvers,
    set: (next: ZoneEntry | undefined) => (entry = next),
    names: () => made.members?.map(({ name }) => name),
    /** When it asks, in ms after the start, within a time. */
    async asksWithin(ms: number): Promise<number[]> {
      const before = resolvers.length;
      const times: number[] = [];
      for (let at = 0; at <= ms; at += 100) {
        const count = resolvers.length;
        await jest.advanceTimersByTimeAsync(at === 0 ? 0 : 100);
        times.push(...new Array<number>(resolvers.length - count).fill(at));
      }
      expect(times).toHaveLength(resolvers.length - before);
      return times;
    },
  };
}

const found = (ttl: number, ...data: string[]): ZoneEntry => ({ ttl, data });

test.each([
  [3, [3000, 6000, 9000]],
  [0, [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 9000, 10_000]],
  [3600, [8000]],
])('a TTL of %d s is kept to, within the bounds', async (ttl, times) => {
  const test = watch(found(ttl, '198.18.0.21'));
  test.watch.start();
  expect(await test.asksWithin(10_000)).toEqual(times);
  test.watch.stop();
});

test('what is found is known, from the first answer on', async () => {
  const test = watch(found(1, '198.18.0.21'));
  expect(test.names()).toBeUndefined();
  test.watch.start();
  await test.watch.settled;
  expect(test.names()).toEqual(['198.18.0.21']);
  test.set(found(1, '198.18.0.22', '198.18.0.21'));
  await test.asksWithin(1000);
  expect(test.names()).toEqual(['198.18.0.21', '198.18.0.22']);
  expect(test.results).toEqual(['ok', 'ok']);
  expect(test.lines).toEqual([]);
  test.watch.stop();
});

test.each<[string, ZoneEntry | undefined, DiscoveryResult, string]>([
  ['SERVFAIL', 'SERVFAIL', 'failed', 'query A api.internal: ESERVFAIL'],
  ['a name that is gone', undefined, 'empty', 'api.internal has no records that can be used'],
  [
    'nothing but junk',
    found(1, '0.0.0.0'),
    'empty',
    'api.internal has no records that can be used; "0.0.0.0" of api.internal is an unspecified address',
  ],
])(
  '%s takes nothing away, is said once and asked about ever more rarely',
  async (_what, entry, result, cause) => {
    const test = watch(found(1, '198.18.0.21'));
    test.watch.start();
    await test.watch.settled;
    test.set(entry);
    // Once when the TTL is over, and then after 1, 2, 4, 8 and 8 seconds.
    expect(await test.asksWithin(25_000)).toEqual([1000, 2000, 4000, 8000, 16_000, 24_000]);
    expect(test.names()).toEqual(['198.18.0.21']);
    expect(test.results).toEqual(['ok', ...new Array<string>(6).fill(result)]);
    const message = 'no backends were found by DNS, those that were known stay';
    expect(test.lines).toEqual([{ level: 'warn', message, cause }]);

    test.set(found(1, '198.18.0.22'));
    await test.asksWithin(8000);
    expect(test.names()).toEqual(['198.18.0.22']);
    expect(test.lines.slice(1)).toEqual([{ level: 'info', message: 'backends are found by DNS again' }]);
    // Quick again, the next time.
    test.set('SERVFAIL');
    const count = test.results.length;
    await test.asksWithin(3000);
    expect(test.results.length - count).toBeGreaterThanOrEqual(2);
    test.watch.stop();
  },
);

test('another cause is news', async () => {
  const test = watch('SERVFAIL');
  test.watch.start();
  await test.watch.settled;
  test.set('REFUSED');
  await test.asksWithin(1000);
  expect(test.lines.map(({ cause }) => cause)).toEqual([
    'query A api.internal: ESERVFAIL',
    'query A api.internal: EREFUSED',
  ]);
  expect(test.lines[0]?.message).toBe('no backends were found by DNS, and none is known from before');
  expect(test.names()).toBeUndefined();
  test.watch.stop();
});

test('records that are refused are said once, in whatever order they come', async () => {
  const test = watch(found(1, '198.18.0.21', '0.0.0.0', '224.0.0.1'));
  test.watch.start();
  await test.watch.settled;
  test.set(found(1, '224.0.0.1', '0.0.0.0', '198.18.0.21'));
  await test.asksWithin(5000);
  expect(test.results).toEqual(new Array(6).fill('ok'));
  expect(test.lines).toEqual([
    {
      level: 'warn',
      message: 'records that cannot be backends are left out',
      cause:
        '"0.0.0.0" of api.internal is an unspecified address; "224.0.0.1" of api.internal is a multicast address',
    },
  ]);
  test.watch.stop();
});

test('an answer that does not come is given up', async () => {
  const test = watch('silence', ['198.18.0.21']);
  test.watch.start();
  await test.asksWithin(9000);
  expect(test.results).toEqual([]);
  await test.asksWithin(1000);
  expect(test.results).toEqual(['failed']);
  expect(test.lines).toMatchObject([{ cause: 'not answered within 10 s' }]);
  expect(test.names()).toEqual(['198.18.0.21']);
  test.watch.stop();
});

test('after a stop nothing is asked, counted or said', async () => {
  const test = watch('silence');
  test.watch.start();
  await test.asksWithin(0);
  test.watch.stop();
  await test.watch.settled;
  await test.asksWithin(30_000);
  expect(test.resolvers.map(({ cancelled }) => cancelled)).toEqual([true]);
  expect([test.results, test.lines]).toEqual([[], []]);
});
