/**
 * What does a handoff cost the front when there is more of everything: flows in the table, routes, backends, accepting threads?
 *
 * Each variant changes one thing and is a front of its own, on a host and with a VIP of its own. They share clients and agents, get
 * the same load, and take turns. The table is filled with flows of addresses that no client has, so that they are only
 * there. The other routes come before the one that takes everything, and take nothing: half of them by host, half by path. Backends
 * are agents of their own, a hundred to a host. The throughput says nothing, since all share the machine's CPUs.
 *
 * Every 30 seconds the main thread searches the table for idle flows, in parts. That may fall into a measurement or not, so what
 * a search takes has a column of its own.
 *
 * Rules are indexed by host and path, so that more of them should cost a head nothing; the router alone is asked whether that
 * is so.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster, ClusterOptions, Settings } from '../../src/lab/cluster';
import { Router, type RouteRule } from '../../src/route/router';
import { Bench, type Load, type Measurement } from '../bench';
import { baton } from '../competitors/baton';
import type { Competitor, Running } from '../competitors/competitor';
import { FlowMap } from '../flow-map';
import { inRounds } from '../rounds';
import { formatRatio, spreadOf, type Spread } from '../spread';
import { markdown } from '../table';
import type { Answer, Context, Question } from './question';

interface Scale {
  /** In the table beside those of the load. */
  readonly flows: number;
  readonly routes: number;
  readonly backends: number;
  readonly workers: number;
}

interface Variant {
  readonly name: string;
  readonly scale: Scale;
}

/** A variant's front as one of those that take turns. */
interface Front {
  readonly name: string;
  readonly competitor: Competitor;
  readonly flows: FlowMap;
}

interface Round {
  readonly measurement: Measurement;
  /** Seconds for a search of the flow table. */
  readonly search: number;
}

const CLI = join(__dirname, '../../dist/cli.js');
const BASE: Scale = { flows: 1_000, routes: 10, backends: 2, workers: 1 };
const VARIANTS: readonly Variant[] = [
  { name: '1,000 flows, 10 routes, 2 backends, 1 worker', scale: BASE },
  { name: '100,000 flows', scale: { ...BASE, flows: 100_000 } },
  { name: '1,000,000 flows', scale: { ...BASE, flows: 1_000_000 } },
  { name: '10,000 routes', scale: { ...BASE, routes: 10_000 } },
  { name: '200 backends', scale: { ...BASE, backends: 200 } },
  { name: '2 workers', scale: { ...BASE, workers: 2 } },
];
const BACKEND_HOSTS = 2;
const AGENTS_PER_HOST = 100;
const MOST_FLOWS = 2_097_152;
const LOAD: Load = { path: '/1024', connections: 64, close: true };
/** Long enough for Node to compile what is hot. */
const WARM_UP_SECONDS = 3;
const START_TIMEOUT_MS = 30_000;

/** Rules of the router alone. */
const RULES = [10, 1_000, 10_000] as const;
const HEADS = 2_000;

export const scale: readonly Question[] = [
  { name: 'scale', title: "The front's CPU for each handoff, with more of everything", ask },
];

async function ask(context: Context): Promise<Answer> {
  return answerOf(await rowsOf(context), context.rounds);
}

async function rowsOf(context: Context): Promise<Row[]> {
  const bench = await Bench.open([], labOptions());
  const fronts: Front[] = [];
  try {
    for (const [index, variant] of VARIANTS.entries()) {
      context.progress(`scale: start and warm-up, ${variant.name}`);
      fronts.push(await startFront(bench, variant, index));
    }
    const measured = await inRounds(fronts, context, {
      name: 'scale',
      measure: async ({ competitor, flows }) => {
        const measurement = await bench.measure(competitor, LOAD, context.seconds);
        return { measurement, search: timeOfSearch(flows) };
      },
    });
    return [...measured].map(([{ name }, all]) => rowOf(name, all));
  } finally {
    for (const { flows } of fronts) flows.close();
    await bench.close();
  }
}

function rowOf(name: string, rounds: readonly Round[]): Row {
  return {
    name,
    cpu: spreadOf(rounds.map(({ measurement }) => measurement.frontCpuPerRequest * 1e6)),
    search: spreadOf(rounds.map(({ search }) => search * 1e3)),
    rounds: rounds.map(({ measurement }) => measurement),
  };
}

function answerOf(rows: readonly Row[], rounds: number): Answer {
  const router = RULES.map((rules) => ({ rules, perHead: spreadOf(timesOfRouter(rules, rounds)) }));
  const bars = rows.map(({ name, cpu }) => ({ name, value: cpu, label: `${cpu.median.toFixed(0)} µs` }));
  return {
    table: `${tableOf(rows)}\n\n${tableOfRouter(router)}`,
    data: { variants: rows, router },
    bars: [{ title: 'CPU of the front for each handoff', bars }],
  };
}

/** A front host for each variant, behind that of the lab's own front, and two backend hosts with a hundred agents each. */
function labOptions(): Partial<ClusterOptions> {
  return {
    fronts: 1 + VARIANTS.length,
    backends: BACKEND_HOSTS,
    agent: () => ({ vips: ['198.19.0.1', '2001:2:0:ff::1', ...VARIANTS.map((_, index) => vipOf(index))] }),
    command: (program, _host, config) =>
      Promise.resolve(
        program === 'front'
          ? [process.execPath, CLI, 'front', '--config', config]
          : [process.execPath, join(__dirname, '../many-agents.mjs'), config, String(AGENTS_PER_HOST)],
      ),
  };
}

/** The first VIP is the lab's own front's. */
function vipOf(index: number): string {
  return `198.19.0.${index + 2}`;
}

/** Returns with its table filled and its code warm. */
async function startFront(bench: Bench, { name, scale: scaled }: Variant, index: number): Promise<Front> {
  const { cluster } = bench;
  const pin = join(cluster.lab.pin, `scale-${index}`);
  const competitor: Competitor = { ...baton, name, start: () => spawnFront(cluster, scaled, index, pin) };
  await bench.start(competitor);
  const flows = FlowMap.open(pin);
  flows.fill(scaled.flows);
  await bench.warmUp(competitor, LOAD, WARM_UP_SECONDS);
  return { name, competitor, flows };
}

async function spawnFront(cluster: Cluster, scaled: Scale, index: number, pin: string): Promise<Running> {
  const host = cluster.lab.host(`f${index + 2}`);
  const vip = vipOf(index);
  await host.run(['ip', 'address', 'add', `${vip}/32`, 'dev', 'eth0']);
  const file = join(cluster.lab.dir, `scale-${index}.yaml`);
  writeFileSync(file, JSON.stringify({ node: `scale-${index}`, ...settingsOf(scaled, vip, pin) }));
  const front = host.spawn([process.execPath, CLI, 'front', '--config', file]);
  await front.waitForLine('front is serving', START_TIMEOUT_MS);
  await cluster.until(`all backends of ${host.name}`, async () => {
    const { stdout } = await host.run(['curl', '-sS', 'http://127.0.0.1:9180/v1/backends']);
    const { backends } = JSON.parse(stdout) as { backends: { state: string }[] };
    return backends.every(({ state }) => state === 'up');
  });
  return { targets: [`${vip}:80`], pid: front.pid };
}

/** Keys of front.yaml. No backend has `http`, so what cannot be handed off fails. */
function settingsOf({ routes, backends, workers }: Scale, vip: string, pin: string): Settings {
  return {
    listeners: [{ name: 'web', bind: `${vip}:80`, protocol: 'http' }],
    routes: rulesOf(routes),
    pools: { web: { backends: Array.from({ length: backends }, (_, index) => backendOf(index)) } },
    steering: { interface: 'eth0', pin, max_flows: MOST_FLOWS },
    control: { insecure: true },
    timeouts: { linger: '1s' },
    workers,
  };
}

/** Backends in turn on the one host and the other, named and numbered as many-agents.mjs does it. */
function backendOf(index: number): Settings {
  const host = 1 + (index % BACKEND_HOSTS);
  const k = Math.floor(index / BACKEND_HOSTS);
  const address = `198.18.0.${20 + host}`;
  return {
    name: k === 0 ? `b${host}` : `b${host}-${k + 1}`,
    agent: `${address}:${7400 + k}`,
    via: address,
  };
}

/** So many rules, of which the last one takes everything and the others nothing that the load asks for. */
function rulesOf(count: number): RouteRule[] {
  const others = Array.from({ length: count - 1 }, (_, index) => ({
    match:
      index % 2 === 0 ? { host: [`tenant-${index}.example.com`] } : { path_prefix: [`/tenant-${index}/`] },
    pool: 'web',
  }));
  return [...others, { pool: 'web' }];
}

function timeOfSearch(flows: FlowMap): number {
  // Those of the load may be there still or not; the filling has to be.
  if (flows.size < flows.filled) throw new Error('the front has removed flows that are not its own');
  return flows.timeOfSearch();
}

/** Microseconds for each head, so many times. */
function timesOfRouter(rules: number, times: number): number[] {
  const router = new Router(rulesOf(rules));
  const head = { method: 'GET', host: '198.19.0.1', path: '/1024', query: '', header: () => undefined };
  const asker = { client: Buffer.alloc(16) };
  const route = (): number => {
    const began = performance.now();
    for (let k = 0; k < HEADS; k++) router.match(head, asker);
    return ((performance.now() - began) / HEADS) * 1000;
  };
  // Compiled by the first ones.
  route();
  return Array.from({ length: times }, route);
}

interface Row {
  readonly name: string;
  /** Microseconds. */
  readonly cpu: Spread;
  /** Milliseconds. */
  readonly search: Spread;
  readonly rounds: readonly Measurement[];
}

function tableOf(rows: readonly Row[]): string {
  const [base] = rows;
  const cpuOf = ({ rounds }: Row): number[] => rounds.map(({ frontCpuPerRequest }) => frontCpuPerRequest);
  const lines = rows.map((row) => [
    row.name,
    `${row.cpu.median.toFixed(1)} µs`,
    `${row.cpu.least.toFixed(1)}-${row.cpu.most.toFixed(1)}`,
    formatRatio(cpuOf(row), base && cpuOf(base)),
    spreadOf(row.rounds.map(({ requestsPerSecond }) => requestsPerSecond)).median.toFixed(0),
    `${row.search.median.toFixed(1)} ms`,
    String(row.rounds.reduce((sum, { failures }) => sum + failures, 0)),
  ]);
  return markdown(
    ['', 'front CPU', 'spread', '/ first', 'handoffs/s', 'search for idle flows', 'failures'],
    lines,
  );
}

function tableOfRouter(router: readonly { rules: number; perHead: Spread }[]): string {
  const lines = router.map(({ rules, perHead }) => [
    String(rules),
    `${perHead.median.toFixed(2)} µs`,
    `${perHead.least.toFixed(2)}-${perHead.most.toFixed(2)}`,
  ]);
  return markdown(['rules', 'router alone, for each head', 'spread'], lines);
}
