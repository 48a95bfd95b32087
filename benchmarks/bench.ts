/** The lab in which all competitors stand, and one measurement of one of them. */
import { join } from 'node:path';
import { Cluster, type ClusterOptions } from '../src/lab/cluster';
import { BACKEND_PORT, type Competitor, type Running } from './competitors/competitor';
import { watched } from './watched';
import { wrk, type LoadResult } from './wrk';

/** Each with an address of its own: one has too few ports for a load of short connections. */
const CLIENTS = 4;

/**
 * glibc gives freed memory back to the kernel, and in a virtual machine it costs up to 0.1 s for 32 MiB to get it again. When
 * that happens has nothing to do with who brings the octets, so the backends keep what they had once (mallopt(3)).
 */
const KEEP_MEMORY = [
  'env',
  'MALLOC_TRIM_THRESHOLD_=536870912',
  'MALLOC_MMAP_THRESHOLD_=1048576',
  'MALLOC_ARENA_MAX=1',
] as const;

/** What is asked of a competitor. */
export interface Load {
  readonly path: string;
  /** Of all clients together. */
  readonly connections: number;
  /** Whether each request has a connection of its own. */
  readonly close: boolean;
}

export interface Measurement {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Milliseconds, the worst of the clients. */
  readonly p50: number;
  readonly p99: number;
  readonly failures: number;
  /** Seconds of CPU of the competitor's processes on the front's host for each request. */
  readonly frontCpuPerRequest: number;
  /** The same for each 10^9 octets. */
  readonly frontCpuPerGigabyte: number;
  /** Of the backends' processes. */
  readonly backendCpuPerRequest: number;
  /** What other processes of the machine used meanwhile, as a share of one CPU. */
  readonly foreign: number;
}

/** What some work gave, and what it cost meanwhile. */
export interface Observed<T> {
  readonly result: T;
  /** Seconds of CPU of the competitor's processes on the front's host. */
  readonly frontCpu: number;
  /** Of the backends' processes. */
  readonly backendCpu: number;
  /** What other processes of the machine used, as a share of one CPU. */
  readonly foreign: number;
}

export class Bench {
  private readonly running = new Map<Competitor, Running>();

  private constructor(readonly cluster: Cluster) {}

  /** `options` replace those of the lab, for a question that wants another one. */
  static async open(
    competitors: readonly Competitor[],
    options: Partial<ClusterOptions> = {},
  ): Promise<Bench> {
    const cluster = await Cluster.start({
      app: join(__dirname, 'app.mjs'),
      clients: CLIENTS,
      // On all addresses, the VIP among them: l4-dsr brings packets to that.
      agent: () => ({
        serve: { app: join(__dirname, 'app.mjs'), listen: `0.0.0.0:${BACKEND_PORT}` },
      }),
      front: { timeouts: { linger: '1s' } },
      through: (program) => (program === 'front' ? [] : KEEP_MEMORY),
      ...options,
    });
    const bench = new Bench(cluster);
    try {
      for (const host of cluster.lab.clients) {
        // A client that closes first would be out of ports within seconds.
        await host.run(['sysctl', '-qw', 'net.ipv4.tcp_tw_reuse=1']);
      }
      for (const competitor of competitors) await bench.start(competitor);
      return bench;
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  /** Starts a competitor, also one that has ended meanwhile. */
  async start(competitor: Competitor): Promise<Running> {
    const running = await competitor.start(this.cluster);
    this.running.set(competitor, running);
    return running;
  }

  close(): Promise<void> {
    return this.cluster.destroy();
  }

  /** Where clients reach a competitor, see Running. */
  targetsOf(competitor: Competitor): readonly string[] {
    return this.runningOf(competitor).targets;
  }

  /** The same load, whatever else the machine has to do meanwhile. */
  async warmUp(competitor: Competitor, load: Load, seconds: number): Promise<void> {
    await this.generate(this.targetsOf(competitor), load, seconds);
  }

  /** Measures one competitor under a load, again where something else took the machine's time. */
  async measure(competitor: Competitor, load: Load, seconds: number): Promise<Measurement> {
    const { targets } = this.runningOf(competitor);
    const { result: results, ...observed } = await this.observe(competitor, () =>
      this.generate(targets, load, seconds),
    );
    const sum = (of: (result: LoadResult) => number): number =>
      results.reduce((total, result) => total + of(result), 0);
    const requests = sum((result) => result.requests);
    return {
      requestsPerSecond: sum((result) => result.requests / result.seconds),
      bytesPerSecond: sum((result) => result.bytes / result.seconds),
      p50: Math.max(...results.map(({ p50 }) => p50)),
      p99: Math.max(...results.map(({ p99 }) => p99)),
      failures: sum((result) => result.failures),
      frontCpuPerRequest: observed.frontCpu / requests,
      frontCpuPerGigabyte: observed.frontCpu / (sum((result) => result.bytes) / 1e9),
      backendCpuPerRequest: observed.backendCpu / requests,
      foreign: observed.foreign,
    };
  }

  /** Has work done that one competitor serves, again where something else took the machine's time. */
  async observe<T>(competitor: Competitor, work: () => Promise<T>): Promise<Observed<T>> {
    const { pid } = this.runningOf(competitor);
    const {
      result,
      cpu: [frontCpu = NaN, backendCpu = NaN],
      foreign,
    } = await watched([pid === undefined ? [] : [pid], this.cluster.agents.map((agent) => agent.pid)], work);
    return { result, frontCpu, backendCpu, foreign };
  }

  private runningOf(competitor: Competitor): Running {
    const running = this.running.get(competitor);
    if (running === undefined) throw new Error(`${competitor.name} is not started`);
    return running;
  }

  private generate(
    targets: readonly string[],
    { path, connections, close }: Load,
    seconds: number,
  ): Promise<LoadResult[]> {
    const clients = this.cluster.lab.clients.slice(0, connections);
    return Promise.all(
      clients.map((host, index) =>
        wrk(host, {
          target: targets[index % targets.length] ?? '',
          path,
          connections: Math.ceil(connections / clients.length),
          seconds,
          close,
        }),
      ),
    );
  }
}
