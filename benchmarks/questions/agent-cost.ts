/**
 * What does a connection cost a backend that was handed over, beside one that the same process accepts itself? Both at the
 * same moderate rate: at saturation the two differ in how much is done at once, and so in what each costs.
 */
import { baton } from '../competitors/baton';
import { direct } from '../competitors/direct';
import type { Bench } from '../bench';
import { paced, type PacedResult } from '../paced';
import { inRounds } from '../rounds';
import { formatRatio, formatSpread, sideBySide, spreadOf, type Spread } from '../spread';
import { markdown } from '../table';
import { watched } from '../watched';
import type { Answer, Context, Question } from './question';

/** Long enough for Node to compile what is hot, as often as it is called in rounds of a few seconds. */
const WARM_UP_SECONDS = 5;
const PATH = '/1024';

/** Of all clients together: a third of what two cores can do with all of the lab on them, or less. */
const LOADS = [
  { name: 'a connection for each request', unit: 'connection', rate: 1000, connections: undefined },
  { name: '64 connections that stay', unit: 'request', rate: 4000, connections: 64 },
] as const;
type Load = (typeof LOADS)[number];

/** Who accepts: the agent for a client that comes straight to it, or the front. */
const WAYS = [direct, baton] as const;
type Way = (typeof WAYS)[number];

interface Cost {
  readonly seconds: number;
  readonly requestsPerSecond: number;
  readonly failures: number;
  readonly foreign: number;
}

interface Row {
  readonly load: Load;
  readonly native: Spread;
  readonly adopted: Spread;
  readonly rounds: readonly { readonly native: Cost; readonly adopted: Cost }[];
}

export const agentCost: readonly Question[] = [
  {
    name: 'agent-cost',
    title: 'Backend CPU at a fixed rate, 1 KiB: adopted against natively accepted by the same process',
    ask,
  },
];

async function ask(context: Context): Promise<Answer> {
  const bench = await context.bench();
  const rows: Row[] = [];
  for (const load of LOADS) rows.push(await rowOf(bench, load, context));
  const bars = rows.map(({ load, native, adopted }) => ({
    title: `Backend CPU per ${load.unit}, ${load.name}`,
    bars: [
      { name: 'direct', value: native, label: `${microseconds(native.median)} µs` },
      { name: 'baton', value: adopted, label: `${microseconds(adopted.median)} µs` },
    ],
  }));
  return { table: tableOf(rows), data: rows, bars };
}

async function rowOf(bench: Bench, load: Load, context: Context): Promise<Row> {
  const measured = await inRounds(WAYS, context, {
    name: `agent-cost, ${load.name}`,
    warmUp: (way) => generate(bench, way, load, WARM_UP_SECONDS),
    measure: (way) => costOf(bench, way, load, context.seconds),
  });
  const pairs = sideBySide(measured.get(direct), measured.get(baton)).map(([native, adopted]) => ({
    native,
    adopted,
  }));
  return {
    load,
    native: spreadOf(pairs.map(({ native }) => native.seconds)),
    adopted: spreadOf(pairs.map(({ adopted }) => adopted.seconds)),
    rounds: pairs,
  };
}

async function costOf(bench: Bench, way: Way, load: Load, seconds: number): Promise<Cost> {
  const { result, cpu, foreign } = await watched([bench.cluster.agents.map(({ pid }) => pid)], () =>
    generate(bench, way, load, seconds),
  );
  const sum = (of: (each: PacedResult) => number): number =>
    result.reduce((total, each) => total + of(each), 0);
  return {
    seconds: (cpu[0] ?? NaN) / sum(({ requests }) => requests),
    requestsPerSecond: sum(({ requestsPerSecond }) => requestsPerSecond),
    failures: sum(({ failures }) => failures),
    foreign,
  };
}

async function generate(bench: Bench, way: Way, load: Load, seconds: number): Promise<PacedResult[]> {
  const { cluster } = bench;
  const { targets } = await way.start(cluster);
  const { clients } = cluster.lab;
  return Promise.all(
    clients.map((host, index) =>
      paced(host, {
        url: `http://${targets[index % targets.length] ?? ''}${PATH}`,
        rate: load.rate / clients.length,
        seconds,
        ...(load.connections === undefined ? {} : { connections: load.connections / clients.length }),
      }),
    ),
  );
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ load, native, adopted, rounds }) => {
    const all = rounds.flatMap((pair) => [pair.native, pair.adopted]);
    return [
      load.name,
      `${Math.min(...all.map(({ requestsPerSecond }) => requestsPerSecond)).toFixed(0)} of ${load.rate}`,
      formatSpread(native, microseconds),
      formatSpread(adopted, microseconds),
      formatRatio(
        rounds.map((pair) => pair.adopted.seconds),
        rounds.map((pair) => pair.native.seconds),
      ),
      String(all.reduce((sum, { failures }) => sum + failures, 0)),
    ];
  });
  return markdown(['', 'requests/s', 'µs native', 'µs adopted', 'adopted / native', 'failures'], lines);
}

function microseconds(seconds: number): string {
  return (seconds * 1e6).toFixed(1);
}
