/** How long does a client wait for the first octet on a new connection, and how much of that is the handoff? */
import type { Bench } from '../bench';
import { baton } from '../competitors/baton';
import type { Competitor } from '../competitors/competitor';
import { openAsker, type Times } from '../one-at-a-time';
import { between, OWN_HEAD, ownColumns, ownTimes, total, type OwnTimes } from '../own-times';
import { inRounds } from '../rounds';
import { percentile, spreadOf, type Spread } from '../spread';
import { markdown } from '../table';
import type { Answer, Context, Question } from './question';

const BYTES = 1024;
/** Of the client that is measured: rare enough that every request finds an idle machine. */
const RATE = 250;
/** Of the client: its own code and caches are cold. */
const WARM_UP = 20;

/** The load that half of is taken; before that it has Node compile what is hot. */
const FULL = { load: { path: `/${BYTES}`, connections: 64, close: true }, seconds: 2 } as const;
/** Processes of the background on each of its hosts: each waits for one answer at a time, and must keep its rate. */
const LANES = 2;
/** By which the background outlasts what is measured, so that no request finds less of it. */
const AROUND_SECONDS = 1;

export const latency: readonly Question[] = [
  {
    name: 'ttfb-idle',
    title: '1 KiB, a connection each, one at a time: from the beginning of connect to the first octet',
    ask: (context) => answer('ttfb-idle', context, () => Promise.resolve(0)),
  },
  {
    name: 'ttfb-half',
    title: 'The same, with other new connections at half of the rate that Baton sustains',
    ask: (context) => answer('ttfb-half', context, () => halfLoad(context)),
  },
];

/** What one competitor did in one round. */
interface Round {
  readonly times: Times;
  /** Of the background: answers a second, and requests without one. */
  readonly background: { readonly rate: number; readonly errors: readonly string[] };
  /** Of Baton alone. */
  readonly own: OwnTimes | undefined;
}

interface Observed extends Round {
  readonly foreign: number;
}

interface Row {
  readonly competitor: string;
  /** Medians of the rounds, ms. */
  readonly p50: Spread;
  readonly sinceConnected: Spread;
  /** Of all requests of all rounds, ms. */
  readonly p99: number;
  readonly most: number;
  readonly requests: number;
  readonly background: Spread;
  readonly errors: readonly string[];
  readonly own: OwnTimes | undefined;
  /** What other processes of the machine used, as a share of one CPU. */
  readonly foreign: Spread;
}

/** Requests a second, in round figures: half of what Baton does, or of the first competitor where Baton is not asked. */
async function halfLoad(context: Context): Promise<number> {
  const { competitors, progress } = context;
  const measured = competitors.find(({ name }) => name === baton.name) ?? competitors[0];
  if (measured === undefined) throw new RangeError('no competitors');
  progress(`ttfb-half: what ${measured.name} sustains`);
  const bench = await context.bench();
  await bench.warmUp(measured, FULL.load, FULL.seconds);
  const { requestsPerSecond } = await bench.measure(measured, FULL.load, FULL.seconds);
  return Math.round(requestsPerSecond / 2 / 10) * 10;
}

async function answer(name: string, context: Context, load: () => Promise<number>): Promise<Answer> {
  const bench = await context.bench();
  const background = await load();
  const measure = async (competitor: Competitor): Promise<Observed> => {
    const work = (): Promise<Round> => measureOnce(bench, competitor, background, context.seconds);
    const { result, foreign } = await bench.observe(competitor, work);
    return { ...result, foreign };
  };
  const measured = await inRounds(context.competitors, context, {
    name,
    warmUp: (competitor) => bench.warmUp(competitor, FULL.load, FULL.seconds),
    measure,
  });
  const rows = [...measured].map(([competitor, rounds]) => rowOf(competitor, rounds));
  const bars = rows.map(({ competitor, p50 }) => ({
    name: competitor,
    value: p50,
    label: micro(p50.median),
  }));
  const title = `${name === 'ttfb-idle' ? 'First octet, idle' : 'First octet, half load'} (less is better)`;
  return {
    table: [tableOf(rows, background), ...ownTable(rows)].join('\n\n'),
    data: { background, rows },
    bars: [{ title, bars }],
  };
}

async function measureOnce(
  bench: Bench,
  competitor: Competitor,
  background: number,
  seconds: number,
): Promise<Round> {
  const [client, ...others] = bench.cluster.lab.clients;
  if (client === undefined) throw new RangeError('the lab has no clients');
  const targets = bench.targetsOf(competitor);
  const common = { targets, direction: 'download', bytes: BYTES, warmUp: WARM_UP } as const;
  const hosts = background === 0 ? [] : others.flatMap((host) => Array.from({ length: LANES }, () => host));
  const lanes = await Promise.all(
    hosts.map((host) =>
      openAsker(host, {
        ...common,
        rate: background / hosts.length,
        seconds: seconds + AROUND_SECONDS,
      }),
    ),
  );
  const asker = await openAsker(client, { ...common, rate: RATE, seconds });
  const before = competitor === baton ? await ownTimes(bench.cluster) : undefined;
  const load = Promise.all(
    lanes.map(async (lane) => ({ ...(await lane.run()), endedAt: performance.now() })),
  );
  // Heard of below, after the measurement.
  load.catch(() => undefined);
  const times = await asker.run();
  const measuredAt = performance.now();
  const results = await load;
  if (results.some(({ endedAt }) => endedAt < measuredAt)) {
    throw new Error('the background ended before what was to be measured');
  }
  const own = before && between(before, await ownTimes(bench.cluster));
  return {
    times,
    background: {
      rate: results.reduce((sum, each) => sum + each.whole.length / each.seconds, 0),
      errors: results.flatMap(({ errors }) => errors),
    },
    own,
  };
}

function rowOf({ name: competitor }: Competitor, rounds: readonly Observed[]): Row {
  const median = (of: (times: Times) => readonly number[]): Spread =>
    spreadOf(rounds.map(({ times }) => percentile(of(times), 0.5)));
  const all = rounds.flatMap(({ times }) => times.firstByte);
  const own = rounds.flatMap((round) => round.own ?? []);
  return {
    competitor,
    p50: median(({ firstByte }) => firstByte),
    sinceConnected: median(({ sinceConnected }) => sinceConnected),
    p99: percentile(all, 0.99),
    most: percentile(all, 1),
    requests: all.length,
    background: spreadOf(rounds.map(({ background }) => background.rate)),
    errors: rounds.flatMap(({ times, background }) => [...times.errors, ...background.errors]),
    own: own.length === 0 ? undefined : total(own),
    foreign: spreadOf(rounds.map(({ foreign }) => foreign)),
  };
}

function tableOf(rows: readonly Row[], background: number): string {
  const direct = rows.find(({ competitor }) => competitor === 'direct');
  const addedTo = (row: Row): string =>
    direct === undefined || row === direct ? '' : micro(row.p50.median - direct.p50.median);
  const lines = rows.map((row) => [
    row.competitor,
    micro(row.p50.median),
    `${micro(row.p50.least)}-${micro(row.p50.most)}`,
    addedTo(row),
    micro(row.sinceConnected.median),
    micro(row.p99),
    micro(row.most),
    String(row.requests),
    ...(background > 0 ? [row.background.median.toFixed(0)] : []),
    String(row.errors.length),
  ]);
  const head = ['', 'p50', 'spread', 'added to direct', 'p50 from the request on', 'p99', 'most', 'requests'];
  const others = background > 0 ? [`others/s (${background} wanted)`] : [];
  return markdown([...head, ...others, 'failures'], lines);
}

/** Where Baton is among the competitors. */
function ownTable(rows: readonly Row[]): string[] {
  const own = rows.flatMap((row) => row.own ?? []);
  const title =
    'What Baton itself says: head complete to released, by the front (live is one way of the control channel later, and ' +
    'what the client sees of that is above), and the restore in it, by the agents:';
  return own.length === 0
    ? []
    : [
        title,
        markdown(
          ['', ...OWN_HEAD],
          own.map((times) => [baton.name, ...ownColumns(times)]),
        ),
      ];
}

function micro(ms: number): string {
  return `${(ms * 1000).toFixed(0)} µs`;
}
