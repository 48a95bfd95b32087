import { join } from 'node:path';
import type { Host } from '../../../src/lab/host';
import type { LabProcess } from '../../../src/lab/lab-process';
import { VIP4 } from '../../../src/lab/topology';

const SCRIPT = join(__dirname, '../clients/steady.mjs');
const START_TIMEOUT_MS = 10_000;
/** Far more than there are unless the other side stands still. */
const MOST_OPEN = 2_000;

/** What became of the connections; see clients/steady.mjs. */
export interface Outcomes {
  readonly started: number;
  readonly served: number;
  readonly refused: number;
  readonly unconnected: number;
  readonly reset: number;
  readonly closed: number;
  readonly wrong: number;
  readonly hung: number;
  /** Longest time without a complete response, ms. */
  readonly longestGap: number;
  /** Latencies of the served ones, ms. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface SteadyOptions {
  /** Connections per second. */
  readonly rate: number;
  /** Silence after which a connection counts as hung. */
  readonly patienceMs: number;
  readonly address?: string;
  /** Length of each response. */
  readonly bytes?: number;
  /** Connections that are open at once. */
  readonly mostOpen?: number;
}

/** Connections at a steady rate from a client host while a test does harm. */
export class SteadyLoad {
  private constructor(
    private readonly process: LabProcess,
    private readonly patienceMs: number,
  ) {}

  static async start(host: Host, options: SteadyOptions): Promise<SteadyLoad> {
    const { address = VIP4, bytes = 2000, mostOpen = MOST_OPEN } = options;
    const sources = address.includes(':') ? [host.address6] : host.addresses4;
    const argv = [
      process.execPath,
      SCRIPT,
      JSON.stringify({ ...options, address, bytes, mostOpen, sources }),
    ];
    const started = host.spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    await started.waitForLine('started', START_TIMEOUT_MS);
    return new SteadyLoad(started, options.patienceMs);
  }

  /** Starts no more connections, and returns when each has come to its end or lost its patience. */
  async stop(): Promise<Outcomes> {
    this.process.endInput();
    return JSON.parse(
      await this.process.waitForLine('"served"', this.patienceMs + START_TIMEOUT_MS),
    ) as Outcomes;
  }
}

/** The connections that were not served, for a report. */
export function unserved({ refused, unconnected, reset, closed, wrong, hung }: Outcomes): string {
  return `${refused} refused, ${reset} reset, ${closed} closed, ${unconnected} unconnected, ${wrong} wrong, ${hung} hung`;
}
