import { amount } from '../soak';
import { OddCluster, resultsOf, type RawCase, type RawResult } from './odd/odd-cluster';
import { descriptorsOf } from './faults/remains';
import { countsOf, report } from './support';

/**
 * Clients that send what no kernel would: odd options, windows, flags and copies of packets. Each is served right, by a
 * backend or, where it says so, through the front; none hangs, and none gets a wrong octet.
 */

const TIMES = amount(3, 100);
/** Connections at once. */
const BATCH = 60;
const TIMEOUT_MS = amount(60_000, 600_000);

type Expected = Omit<RawResult, 'name' | 'error'>;

const HANDED_OFF: Expected = { end: 'FIN', by: 'backend' };
const RELAYED: Expected = { end: 'FIN', by: 'front' };
const REFUSED: Expected = { end: 'FIN', by: 'front', refused: true };
const UNTAKEN: Expected = { ...HANDED_OFF, takenAtOnce: false };
const UNSERVED: Expected = { end: 'open', by: '' };

/** Name, scenario of raw.cjs with its options, what has to come of it. */
const CASES: readonly (readonly [string, string | Omit<RawCase, 'name'>, Expected])[] = [
  ['the usual options', 'usual', HANDED_OFF],
  ['no options, not even an MSS', 'withoutOptions', HANDED_OFF],
  ['timestamps and nothing else', 'timestampsAlone', HANDED_OFF],
  ['an MSS of 88', { scenario: 'tinyMss', mss: 88 }, HANDED_OFF],
  ['an MSS of 50, which cannot be restored', { scenario: 'tinyMss', mss: 50 }, RELAYED],
  ['one octet per segment', 'oneByteSegments', HANDED_OFF],
  ['the last segment first', 'lastSegmentFirst', HANDED_OFF],
  ['a gap at the handoff', 'gapAtTheHandoff', HANDED_OFF],
  ['every third segment lost', 'everyThirdSegmentLost', HANDED_OFF],
  ['data in the SYN', 'dataInTheSyn', UNTAKEN],
  ['data in the SYN, asking for TFO', { scenario: 'dataInTheSyn', cookie: true }, UNTAKEN],
  ['a closed window at the handoff', 'zeroWindow', { ...HANDED_OFF, early: 0 }],
  ['a window that shrinks', 'shrinkingWindow', HANDED_OFF],
  ['FIN in the packet of the request', 'finWithTheRequest', RELAYED],
  ['FIN in the middle of the response', 'finInTheResponse', HANDED_OFF],
  ['simultaneous close', 'simultaneousClose', HANDED_OFF],
  ['an urgent octet at the beginning', 'urgentAtTheBeginning', HANDED_OFF],
  ['an urgent octet in the head, answered 408', 'urgentInTheHead', REFUSED],
  ['an urgent octet after the handoff', 'urgentAfterTheHandoff', HANDED_OFF],
  ['stray packets', 'strayPackets', HANDED_OFF],
  ['RST in the head', 'resetInTheHead', UNSERVED],
  ['RST in the response', 'resetInTheResponse', { ...HANDED_OFF, end: 'open' }],
];
const CASES6: typeof CASES = [['an IPv6 extension header', 'extensionHeader', HANDED_OFF]];

/** What clients do between freeze and live, when nobody answers them, and how it goes on then. */
const FROZEN: readonly (readonly [string, string, Expected])[] = [
  ['waits', 'waits', HANDED_OFF],
  ['sends its SYN again', 'sendsItsSynAgain', HANDED_OFF],
  ['sends keep-alive probes', 'probes', HANDED_OFF],
  ['sends the same and more in one segment', 'sendsMoreInOneSegment', HANDED_OFF],
  ['uploads on', 'uploadsOn', HANDED_OFF],
  ['closes its window', 'closesItsWindow', HANDED_OFF],
  ['closes its side', 'closesItsSide', HANDED_OFF],
  ['resets', 'resets', UNSERVED],
];

let odd: OddCluster;
let descriptors: number;

beforeAll(async () => {
  odd = await OddCluster.start();
  descriptors = descriptorsOf(odd.cluster.front);
}, 30_000);

afterEach(() => odd.untilNothingLeft(descriptors), 60_000);
afterAll(() => odd.cluster.destroy());

/** Who served it: a refusal comes from the front as well, but is no service. */
function serverOf({ by, refused }: RawResult): string {
  return refused === true || by === '' ? 'nobody' : (by ?? '');
}

/** Prints a row of the table, and expects all of a case to have gone as they should. */
function expectAll(label: string, all: readonly RawResult[], name: string, expected: Expected): void {
  const results = all.filter((result) => result.name === name);
  const by = (who: string): number => results.filter((result) => serverOf(result) === who).length;
  const wrong = results.filter(({ error }) => error !== undefined).length;
  report(
    `${label} ${name.padEnd(42)} ${String(results.length).padStart(3)} connections: ` +
      `${by('backend')} handed off, ${by('front')} relayed, ${by('nobody')} refused or ended by the client, ${wrong} wrong`,
  );
  const right: unknown = expect.objectContaining({ name, ...expected });
  expect(results).toEqual(results.map(() => right));
  expect(results).toHaveLength(TIMES);
  // A segment may not be longer than the client has asked for.
  for (const { largest = 0, asked } of results)
    if (typeof asked === 'number') expect(largest).toBeLessThanOrEqual(asked);
}

async function expectFallbacks(before: number, results: readonly RawResult[]): Promise<void> {
  const relayed = results.filter((result) => serverOf(result) === 'front').length;
  expect((await countsOf(odd.cluster)).fallbacks - before).toBe(relayed);
}

function repeated(cases: typeof CASES): RawCase[] {
  return cases.flatMap(([name, given]) => {
    const options = typeof given === 'string' ? { scenario: given } : given;
    return Array.from({ length: TIMES }, () => ({ name, ...options }) as RawCase);
  });
}

test.each([4, 6] as const)(
  'odd packets over IPv%i are served right',
  async (family) => {
    const before = await countsOf(odd.cluster);
    const cases = [...CASES, ...(family === 6 ? CASES6 : [])];
    const given = repeated(cases);
    const results: RawResult[] = [];
    for (let at = 0; at < given.length; at += BATCH)
      results.push(...(await resultsOf(odd.raw(family, given.slice(at, at + BATCH)))));
    for (const [name, , expected] of cases) expectAll(`IPv${family}`, results, name, expected);
    await expectFallbacks(before.fallbacks, results);
  },
  TIMEOUT_MS,
);

test.each([4, 6] as const)(
  'odd packets between freeze and live over IPv%i are served right',
  async (family) => {
    const { cluster } = odd;
    const given = repeated(FROZEN);
    const running = odd.raw(family, given);
    const step = async (number: number): Promise<void> => {
      let seen = 0;
      await running.waitForLine((line) => line === 'waiting' && ++seen === number, 20_000);
    };
    await step(1);
    for (const agent of cluster.agents) agent.kill('SIGSTOP');
    try {
      running.write('go\n');
      await step(2);
      await cluster.until('all are offered', async () => {
        const { offers } = await cluster.frontApi<{ offers: number }>('/v1/status');
        return offers === given.length;
      });
      running.write('go\n');
      await step(3);
    } finally {
      for (const agent of cluster.agents) agent.kill('SIGCONT');
    }
    running.write('go\n');
    const results = await resultsOf(running);
    for (const [name, , expected] of FROZEN)
      expectAll(`IPv${family} frozen, client`, results, name, expected);
    expect(results.filter(({ by }) => by === 'front')).toEqual([]);
  },
  TIMEOUT_MS,
);

// Baton does not ask for it, but an operator can switch it on for all listeners of a host: TFO_SERVER_ENABLE,
// TFO_SERVER_COOKIE_NOT_REQD and TFO_SERVER_WO_SOCKOPT1 (include/net/tcp.h).
test(
  'data in the SYN is served once where the front host has TCP Fast Open on',
  async () => {
    const { cluster } = odd;
    await cluster.front.stop();
    const sysctl = ['sysctl', '-w', `net.ipv4.tcp_fastopen=${0x2 | 0x200 | 0x400}`];
    expect(await cluster.frontHost.run(sysctl)).toMatchObject({ code: 0 });
    await cluster.startFront();
    await cluster.allUp();
    const name = 'data in the SYN, TFO on';
    // The front may have the request before the handshake is done: then there is no connection yet to hand off.
    const expected = { end: 'FIN', takenAtOnce: true } as const;
    const results: RawResult[] = [];
    for (const family of [4, 6] as const) {
      const some = await resultsOf(odd.raw(family, repeated([[name, 'dataInTheSyn', expected]])));
      expectAll(`IPv${family}`, some, name, expected);
      results.push(...some);
    }
    await expectFallbacks(0, results);
    const unfinished = await cluster.frontMetric('baton_fallbacks_total', { reason: 'not_established' });
    expect(unfinished).toBe(results.filter(({ by }) => by === 'front').length);
  },
  TIMEOUT_MS,
);
