import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Lab } from '../../src/lab/lab';
import { Impairment, type Counts, type Rates } from './impairment';

const PROGRAM = join(__dirname, 'datagrams.cjs');
const DATAGRAMS = 3_000;
const SHARE = 0.05;
/** Of 3,000 packets 5 % are 150; that one run in a billion is further off than 72 is chance. */
const LEAST = 78;
const MOST = 222;
/** Packets that are none of the datagrams: neighbour discovery. */
const OTHERS = 20;
/** The longest way round and a busy machine. */
const SETTLE_MS = 200;

interface Received {
  readonly received: number;
  readonly distinct: number;
  readonly doubled: number;
  readonly overtaken: number;
}

let lab: Lab;
let cables: Impairment;

beforeAll(async () => {
  lab = await Lab.create({ backends: 1 });
  cables = await Impairment.attach(lab);
}, 30_000);

afterAll(() => lab.destroy());

/** Sends numbered datagrams from one host to the other, and says what came and what the cable of `host` counted. */
async function pass(host: string, rates: Rates): Promise<Received & Counts> {
  const [from, to] = [lab.host('c1'), lab.host('b1')];
  const before = cables.counts(host);
  cables.set(host, rates);
  const receiver = to.spawn([process.execPath, PROGRAM, 'receive', '9000'], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await receiver.waitForLine('ready', 10_000);
  const argv = [process.execPath, PROGRAM, 'send', to.address6, '9000', String(DATAGRAMS)];
  expect(await from.run(argv)).toMatchObject({ code: 0 });
  await sleep(SETTLE_MS);
  cables.set(host, {});
  receiver.write('stop\n');
  const received = JSON.parse(await receiver.waitForLine(/^\{/, 10_000)) as Received;
  return { ...received, ...since(before, cables.counts(host)) };
}

function since(before: Counts, after: Counts): Counts {
  const names = Object.keys(after) as (keyof Counts)[];
  return Object.fromEntries(names.map((name) => [name, after[name] - before[name]])) as unknown as Counts;
}

function expectBetween(value: number, least: number, most: number): void {
  expect(value).toBeGreaterThanOrEqual(least);
  expect(value).toBeLessThanOrEqual(most);
}

/** What arrived is what the program says that it did. */
function expectTrue(result: Received & Counts): void {
  expectBetween(result.seen, DATAGRAMS, DATAGRAMS + OTHERS);
  expectBetween(result.dropped - (DATAGRAMS - result.distinct), 0, OTHERS);
  expectBetween(result.duplicated - result.doubled, 0, OTHERS);
  expect(result.received).toBe(result.distinct + result.doubled);
}

const NONE = { dropped: 0, duplicated: 0, delayed: 0, rejoined: 0, overtaken: 0 };

test('a cable is a good one at first', async () => {
  const result = await pass('c1', {});
  expect(result).toMatchObject({ ...NONE, received: DATAGRAMS, distinct: DATAGRAMS });
  expectTrue(result);
});

test('a cable drops packets', async () => {
  const result = await pass('c1', { drop: SHARE });
  expect(result).toMatchObject({ ...NONE, dropped: result.dropped });
  expectBetween(result.dropped, LEAST, MOST);
  expectTrue(result);
});

test('a cable doubles packets, at once or later', async () => {
  const result = await pass('c1', { duplicate: SHARE });
  const { duplicated, rejoined } = result;
  expect(result).toMatchObject({ ...NONE, duplicated, rejoined });
  expectBetween(duplicated, LEAST, MOST);
  expectBetween(rejoined, 1, duplicated - 1);
  expectTrue(result);
});

test('a cable delays packets, so that others get ahead', async () => {
  const result = await pass('c1', { delay: SHARE });
  const { delayed, overtaken } = result;
  expect(result).toMatchObject({ ...NONE, delayed, rejoined: delayed, overtaken, distinct: DATAGRAMS });
  expectBetween(delayed, LEAST, MOST);
  expectBetween(overtaken, delayed / 2, delayed);
  expectTrue(result);
});

/** The cable where the packets come in, and the one where they go out. */
test.each(['c1', 'b1'])('the cable of %s does all of it', async (host) => {
  const result = await pass(host, { drop: SHARE, duplicate: SHARE, delay: SHARE });
  for (const count of [result.dropped, result.duplicated, result.delayed]) expectBetween(count, LEAST, MOST);
  expect(result.overtaken).toBeGreaterThan(LEAST / 2);
  expectTrue(result);
});
