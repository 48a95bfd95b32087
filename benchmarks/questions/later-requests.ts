/**
 * What does it cost that later requests of a connection are judged? And where they belong to another pool than the last one, is it
 * better to hand the connection back or to relay the request?
 */
import { join } from 'node:path';
import { VIP4 } from '../../src/lab/topology';
import { Bench } from '../bench';
import type { Competitor } from '../competitors/competitor';
import { inRounds } from '../rounds';
import { formatRatio, formatSpread, spreadOf } from '../spread';
import { markdown } from '../table';
import { wrk, type LoadResult } from '../wrk';
import type { Answer, Context, Question } from './question';

const WARM_UP_SECONDS = 2;
const SCRIPT = join(__dirname, '../clients/later.lua');
const KIB = 1024;

/** A listener's `routing`, on a port of its own. */
interface Way {
  readonly name: string;
  readonly routing: 'per-connection' | 'per-request' | 'forward';
  readonly port: number;
}

const KEPT: Way = { name: 'per-connection', routing: 'per-connection', port: 8001 };
const JUDGED: Way = { name: 'per-request', routing: 'per-request', port: 8002 };
const RELAYED: Way = { name: 'forward', routing: 'forward', port: 8003 };

interface Load {
  readonly title: string;
  readonly size: number;
  /** Of all clients together. */
  readonly connections: number;
  /** How many paths are asked for in turn. */
  readonly paths: number;
  /** After how many requests of a connection the next one is for the other pool; 0 for never. */
  readonly every: number;
}

/** Nothing changes pools: what is measured is the judging. */
const BELONGING: readonly Load[] = [
  { title: '1 KiB, the same head each time, c=64', size: KIB, connections: 64, paths: 1, every: 0 },
  { title: '1 KiB, 16 paths in turn, c=64', size: KIB, connections: 64, paths: 16, every: 0 },
];

/** A connection for each client, so that it is known when its requests change pools. */
const CHANGING: readonly Load[] = [1, 4, 16, 64].flatMap((every) =>
  [KIB, 64 * KIB, 1024 * KIB].map((size) => ({
    title: `${size / KIB} KiB, the other pool every ${every}`,
    size,
    connections: 4,
    paths: 1,
    every,
  })),
);

export const laterRequests: readonly Question[] = [
  {
    name: 'judging',
    title: 'Kept-alive requests/s where each request is judged, against routing: per-connection',
    ask: (context) => ask(context, BELONGING, JUDGED, KEPT),
  },
  {
    name: 'hand-back',
    title:
      'Requests/s where requests change pools: the connection handed back, against the request relayed by the agent',
    ask: (context) => ask(context, CHANGING, JUDGED, RELAYED),
  },
];

interface Measured {
  readonly requestsPerSecond: number;
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
}

interface Row {
  readonly load: Load;
  readonly first: readonly Measured[];
  readonly second: readonly Measured[];
}

async function ask(context: Context, loads: readonly Load[], first: Way, second: Way): Promise<Answer> {
  const bench = await open();
  try {
    const rows: Row[] = [];
    for (const load of loads) {
      const measured = await inRounds([first, second], context, {
        name: load.title,
        warmUp: (way) => generate(bench, way, load, WARM_UP_SECONDS),
        measure: (way) => measure(bench, way, load, context.seconds),
      });
      rows.push({ load, first: measured.get(first) ?? [], second: measured.get(second) ?? [] });
    }
    return { table: tableOf(rows, first, second), data: rows, bars: [] };
  } finally {
    await bench.close();
  }
}

/** Two pools of a backend each, and a listener for each way. */
function open(): Promise<Bench> {
  const none: readonly Competitor[] = [];
  return Bench.open(none, {
    front: (of) => ({
      listeners: [KEPT, JUDGED, RELAYED].map(({ name, routing, port }) => ({
        name,
        bind: `${VIP4}:${port}`,
        protocol: 'http',
        routing,
      })),
      routes: [{ match: { headers: { 'x-pool': 'two' } }, pool: 'two' }, { pool: 'one' }],
      pools: { one: { backends: [of.backend(1)] }, two: { backends: [of.backend(2)] } },
      timeouts: { linger: '1s' },
    }),
  });
}

async function measure(bench: Bench, way: Way, load: Load, seconds: number): Promise<Measured> {
  const results = await generate(bench, way, load, seconds);
  const sum = (of: (result: LoadResult) => number): number =>
    results.reduce((total, result) => total + of(result), 0);
  return {
    requestsPerSecond: sum((result) => result.requests / result.seconds),
    p50: Math.max(...results.map(({ p50 }) => p50)),
    p99: Math.max(...results.map(({ p99 }) => p99)),
    failures: sum((result) => result.failures),
  };
}

function generate(bench: Bench, way: Way, load: Load, seconds: number): Promise<LoadResult[]> {
  const { clients } = bench.cluster.lab;
  const { size, connections, paths, every } = load;
  return Promise.all(
    clients.map((host) =>
      wrk(host, {
        target: `${VIP4}:${way.port}`,
        path: '/',
        connections: connections / clients.length,
        seconds,
        close: false,
        script: [SCRIPT, String(size), String(paths), String(every)],
      }),
    ),
  );
}

function tableOf(rows: readonly Row[], first: Way, second: Way): string {
  const rate = (all: readonly Measured[]): number[] => all.map(({ requestsPerSecond }) => requestsPerSecond);
  const shown = (all: readonly Measured[]): string =>
    formatSpread(spreadOf(rate(all)), (each) => each.toFixed(0));
  const p99 = (all: readonly Measured[]): string =>
    `${spreadOf(all.map((each) => each.p99)).median.toFixed(2)} ms`;
  const lines = rows.map(({ load, first: one, second: two }) => [
    load.title,
    shown(one),
    shown(two),
    formatRatio(rate(one), rate(two)),
    p99(one),
    p99(two),
    String([...one, ...two].reduce((sum, { failures }) => sum + failures, 0)),
  ]);
  const { name } = first;
  return markdown(
    [
      '',
      `${name}, requests/s`,
      second.name,
      `${name} / ${second.name}`,
      `p99 ${name}`,
      `p99 ${second.name}`,
      'failures',
    ],
    lines,
  );
}
