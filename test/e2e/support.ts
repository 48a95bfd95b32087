import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sumOfSeries, type Cluster } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';

/** The application behind the agents. */
export const APP = join(__dirname, 'app.mjs');

/** Clock ticks per second of /proc/PID/stat: USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** For what is left of the last connections to go: the lab's linger is half a second, and a sweep follows it. */
const QUIET_TIMEOUT_MS = 10_000;

/** What a load generator of clients/ reports. */
export interface LoadResult {
  readonly seconds: number;
  /** Duration of each job that succeeded. */
  readonly ms: readonly number[];
  readonly errorCount: number;
  /** The first few. */
  readonly errors: readonly string[];
}

/** What clients/short-connections.mjs prints. */
export interface ShortResult extends LoadResult {
  /** For each connection, the node that served it. */
  readonly places: readonly string[];
}

/** What the front has done so far. */
export interface Counts {
  readonly accepted: number;
  readonly handedOff: number;
  readonly fallbacks: number;
  readonly relayedBytes: number;
}

/** Runs a script of clients/ on a host; it gets its options as JSON and prints its result as JSON. */
export async function runClient<T>(
  host: Host,
  script: string,
  options: Readonly<Record<string, unknown>>,
  timeoutMs = 60_000,
): Promise<T> {
  const file = join(__dirname, 'clients', script);
  const argv = [process.execPath, file, JSON.stringify(options)];
  const { code, stdout, stderr } = await host.run(argv, { timeoutMs });
  if (code !== 0) throw new Error(`${script} on ${host.name}: exit code ${code}\n${stderr}`);
  return JSON.parse(stdout) as T;
}

/** The node that served each of as many connections, all of which have to be served. */
export async function placesOf(cluster: Cluster, count: number, parallel = 1): Promise<readonly string[]> {
  const { client, lab } = cluster;
  const options = { address: lab.vip4, sources: client.addresses4, count, parallel };
  const { places, errors } = await runClient<ShortResult>(client, 'short-connections.mjs', options);
  expect(errors).toEqual([]);
  return places;
}

/** Runs curl on a host and returns its output; throws where curl reports an error. */
export async function curl(host: Host, args: readonly string[], timeoutMs = 10_000): Promise<string> {
  const { code, stdout, stderr } = await host.run(['curl', '-sSg', ...args], { timeoutMs });
  if (code !== 0) throw new Error(`curl ${args.join(' ')}: exit code ${code}\n${stderr}`);
  return stdout;
}

export async function countsOf(cluster: Cluster): Promise<Counts> {
  const [metrics, status] = await Promise.all([
    cluster.frontMetrics(),
    cluster.frontApi<{ relayed_bytes: number }>('/v1/status'),
  ]);
  return {
    accepted: sumOfSeries(metrics, 'baton_connections_accepted_total'),
    handedOff: sumOfSeries(metrics, 'baton_handoffs_total', { result: 'ok' }),
    fallbacks: sumOfSeries(metrics, 'baton_fallbacks_total'),
    relayedBytes: status.relayed_bytes,
  };
}

/**
 * Expects that exactly `connections` came since `before` and were all handed over, beside `silent` ones that closed
 * without a word, and that the front has never relayed a byte.
 */
export async function expectHandedOff(
  cluster: Cluster,
  before: Counts,
  connections: number,
  silent = 0,
): Promise<void> {
  expect(await countsOf(cluster)).toEqual({
    accepted: before.accepted + connections + silent,
    handedOff: before.handedOff + connections,
    fallbacks: before.fallbacks,
    relayedBytes: 0,
  });
}

/**
 * Waits until no connection is anywhere, and returns the open descriptors of the front and of every agent in this order:
 * what `expectNothingLeft` compares with. Some come with the first connection, so there has to be one before.
 */
export async function quietFds(cluster: Cluster): Promise<readonly number[]> {
  let seen: readonly number[] = [];
  await cluster.until(
    'a quiet cluster',
    async () => {
      const before = String(seen);
      const { fds, ...others } = await leftovers(cluster);
      seen = fds;
      return Object.values(others).every((count) => count === 0) && String(seen) === before;
    },
    QUIET_TIMEOUT_MS,
  );
  return seen;
}

/** Waits until no connection has left anything behind anywhere, descriptors included. */
export async function expectNothingLeft(cluster: Cluster, fds: readonly number[]): Promise<void> {
  const nothing: Leftovers = {
    fds,
    connections: 0,
    offers: 0,
    releasing: 0,
    live: 0,
    lingering: 0,
    adopted: 0,
    prepared: 0,
  };
  let left: Leftovers | undefined;
  const look = async (): Promise<boolean> => {
    left = await leftovers(cluster);
    return JSON.stringify(left) === JSON.stringify(nothing);
  };
  // What is left after the wait says more than that it was too long.
  await cluster.until('nothing left', look, QUIET_TIMEOUT_MS).catch(() => undefined);
  expect(left).toEqual(nothing);
}

/** Seconds of CPU, user and system, of all threads of a process. */
export function cpuSeconds(pid: number): number {
  return ticksIn(`/proc/${pid}/stat`) / TICKS_PER_SECOND;
}

/** The same for each thread of a process but the main one. */
export function threadCpuSeconds(pid: number): Map<string, number> {
  const threads = readdirSync(`/proc/${pid}/task`).filter((tid) => tid !== String(pid));
  return new Map(threads.map((tid) => [tid, ticksIn(`/proc/${pid}/task/${tid}/stat`) / TICKS_PER_SECOND]));
}

/** The duration that a share of all are shorter than; NaN where there is none. */
export function percentile(ms: readonly number[], share: number): number {
  const sorted = [...ms].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

/** Milliseconds in one line: median, the slow tail, the slowest. */
export function percentiles(ms: readonly number[]): string {
  const at = (share: number): string => percentile(ms, share).toFixed(1);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
}

/** Megabytes per second of `ms.length` transfers of `bytes` each. */
export function megabytesPerSecond({ ms, seconds }: LoadResult, bytes: number): string {
  return `${((ms.length * bytes) / 1e6 / seconds).toFixed(0)} MB/s`;
}

/** One line with the figures of a test, for the reader of the log. */
export function report(line: string): void {
  process.stdout.write(`    ${line}\n`);
}

/** An address as it stands in a URL. */
export function inUrl(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

interface FrontStatus {
  readonly connections: number;
  readonly offers: number;
  readonly releasing_sockets: number;
  readonly flows: { readonly live: number; readonly lingering: number };
}

interface AgentStatus {
  readonly connections: number;
  readonly prepared: number;
}

/** What connections occupy at this moment: on the front, in the flow table, at the agents. */
interface Leftovers {
  readonly fds: readonly number[];
  readonly connections: number;
  readonly offers: number;
  readonly releasing: number;
  readonly live: number;
  readonly lingering: number;
  readonly adopted: number;
  readonly prepared: number;
}

async function leftovers(cluster: Cluster): Promise<Leftovers> {
  // First, because the questions below are connections too.
  const fds = openFds(cluster);
  const front = await cluster.frontApi<FrontStatus>('/v1/status');
  const agents = await Promise.all(
    cluster.agents.map((_, index) => cluster.agentApi<AgentStatus>(index + 1, '/v1/status')),
  );
  return {
    fds,
    connections: front.connections,
    offers: front.offers,
    releasing: front.releasing_sockets,
    live: front.flows.live,
    lingering: front.flows.lingering,
    adopted: agents.reduce((sum, { connections }) => sum + connections, 0),
    prepared: agents.reduce((sum, { prepared }) => sum + prepared, 0),
  };
}

function openFds(cluster: Cluster): number[] {
  return [cluster.front, ...cluster.agents].map(({ pid }) => readdirSync(`/proc/${pid}/fd`).length);
}

/** The 14th and 15th field of a stat file; the 2nd, a name in brackets, may hold spaces. */
function ticksIn(file: string): number {
  const stat = readFileSync(file, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return Number(fields[11]) + Number(fields[12]);
}
