/** How long does an upload take whose connection is handed over while its body arrives? */
import type { Bench } from '../bench';
import { baton } from '../competitors/baton';
import type { Competitor } from '../competitors/competitor';
import { openAsker, type Times } from '../one-at-a-time';
import { inRounds } from '../rounds';
import { formatRatio, formatSpread, percentile, spreadOf, type Spread } from '../spread';
import { markdown } from '../table';
import type { Answer, Context, Question } from './question';

const MIB = 1024 * 1024;
const BYTES = 32 * MIB;
/** In each round, and so many a second: each finds the machine at rest. */
const UPLOADS = { count: 20, rate: 10 } as const;
/** The first of each client to each target do not count: its memory is cold. */
const FIRST = 1;
/**
 * For Node to have compiled what is hot, and for the backends to have touched the memory that such bodies pass through: a
 * virtual machine may have to get it from its host, and until then an upload takes several times as long.
 */
const WARM_UP = 20;
/** For all of a round, in which a slow competitor falls behind. */
const MOST_SECONDS = 15;

export const uploads: readonly Question[] = [
  {
    name: 'upload-32m',
    title: '32 MiB up, a connection each, one at a time: from the beginning of connect to the end',
    ask,
  },
];

/** What one competitor did in one round. */
interface Round {
  readonly times: Times;
  /** Of Baton alone: connections that it handed over. */
  readonly handoffs: number | undefined;
}

interface Observed extends Round {
  readonly foreign: number;
}

interface Row {
  readonly competitor: string;
  /** Of each round, ms. */
  readonly p50s: readonly number[];
  /** Of all uploads of all rounds, ms. */
  readonly p99: number;
  readonly uploads: number;
  readonly handoffs: number | undefined;
  readonly errors: readonly string[];
  readonly all: readonly number[];
  /** What other processes of the machine used, as a share of one CPU. */
  readonly foreign: Spread;
}

async function ask(context: Context): Promise<Answer> {
  const bench = await context.bench();
  const measured = await inRounds(context.competitors, context, {
    name: 'upload-32m',
    warmUp: (competitor) => upload(bench, competitor, WARM_UP),
    measure: async (competitor) => {
      const { result, foreign } = await bench.observe(competitor, () =>
        upload(bench, competitor, UPLOADS.count),
      );
      return { ...result, foreign };
    },
  });
  const rows = [...measured].map(([competitor, rounds]) => rowOf(competitor, rounds));
  const bars = rows.map(({ competitor, p50s }) => {
    const value = spreadOf(p50s);
    return { name: competitor, value, label: milli(value.median) };
  });
  return { table: tableOf(rows), data: rows, bars: [{ title: '32 MiB up (less is better)', bars }] };
}

async function upload(bench: Bench, competitor: Competitor, count: number): Promise<Round> {
  const targets = bench.targetsOf(competitor);
  const handedOver = (): Promise<number> =>
    bench.cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
  const asker = await openAsker(bench.cluster.client, {
    targets,
    direction: 'upload',
    bytes: BYTES,
    warmUp: FIRST,
    count,
    rate: UPLOADS.rate,
    seconds: MOST_SECONDS,
  });
  const before = competitor === baton ? await handedOver() : undefined;
  const times = await asker.run();
  return { times, handoffs: before === undefined ? undefined : (await handedOver()) - before };
}

function rowOf({ name: competitor }: Competitor, rounds: readonly Observed[]): Row {
  const all = rounds.flatMap(({ times }) => times.whole);
  const handoffs = rounds.flatMap((round) => round.handoffs ?? []);
  return {
    competitor,
    p50s: rounds.map(({ times }) => percentile(times.whole, 0.5)),
    p99: percentile(all, 0.99),
    uploads: all.length,
    handoffs: handoffs.length === 0 ? undefined : handoffs.reduce((sum, each) => sum + each, 0),
    errors: rounds.flatMap(({ times }) => times.errors),
    all,
    foreign: spreadOf(rounds.map(({ foreign }) => foreign)),
  };
}

function tableOf(rows: readonly Row[]): string {
  const direct = rows.find(({ competitor }) => competitor === 'direct');
  const lines = rows.map(({ competitor, p50s, p99, uploads, handoffs, errors }) => [
    competitor,
    formatSpread(spreadOf(p50s), milli),
    formatRatio(p50s, direct?.p50s),
    milli(p99),
    // Of all rounds together: in one there are too few uploads for a percentile.
    formatRatio([p99], direct && [direct.p99]),
    String(uploads),
    handoffs === undefined ? '' : String(handoffs),
    String(errors.length),
  ]);
  const head = ['', 'p50', '/ direct', 'p99', 'p99 / direct', 'uploads', 'handed over', 'failures'];
  return markdown(head, lines);
}

function milli(ms: number): string {
  return `${ms.toFixed(1)} ms`;
}
