import { join } from 'node:path';
import type { Host } from '../../src/lab/host';
import type { LabProcess } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';

const SCRIPT = join(__dirname, 'clients/kept-alive.mjs');
const ASKING_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 30_000;

/** What kept-alive connections saw; see clients/kept-alive.mjs. */
export interface Asked {
  readonly opened: number;
  readonly requests: number;
  readonly wrong: number;
  readonly reset: number;
  readonly closed: number;
  readonly unanswered: number;
  readonly changes: number;
  readonly nodes: Readonly<Record<string, number>>;
  readonly ms: readonly number[];
  /** Of requests that another backend answered than the one before. */
  readonly changedMs: readonly number[];
  /** Of the others. */
  readonly keptMs: readonly number[];
  readonly errors: readonly string[];
}

export interface AskOptions {
  readonly count: number;
  readonly address?: string;
  readonly port?: number;
  readonly sources?: readonly string[];
  readonly pauseMs?: readonly [least: number, most: number];
  readonly paths?: readonly string[];
  readonly bodyEvery?: number;
}

/** A process whose connections are kept alive, and asked on. */
export class Asking {
  private constructor(private readonly process: LabProcess) {}

  /** Returns when each connection has got its first response. */
  static async start(host: Host, options: AskOptions): Promise<Asking> {
    const given = { address: VIP4, sources: host.addresses4, ...options };
    const argv = [process.execPath, SCRIPT, JSON.stringify(given)];
    const asking = new Asking(host.spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] }));
    await asking.process.waitForLine('asking', ASKING_TIMEOUT_MS);
    return asking;
  }

  /** Asks no more, and returns what was seen. */
  async stop(): Promise<Asked> {
    this.process.endInput();
    return JSON.parse(await this.process.waitForLine('"opened"', END_TIMEOUT_MS)) as Asked;
  }
}

/** Nothing was lost on so many connections. */
export function expectNothingLost(asked: Asked, count: number): void {
  const { opened, wrong, reset, closed, unanswered, errors } = asked;
  expect({ opened, wrong, reset, closed, unanswered, errors }).toEqual({
    opened: count,
    wrong: 0,
    reset: 0,
    closed: 0,
    unanswered: 0,
    errors: [],
  });
}
