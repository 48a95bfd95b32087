import { join } from 'node:path';
import type { Cluster } from '../../../src/lab/cluster';
import type { Host } from '../../../src/lab/host';
import type { LabProcess } from '../../../src/lab/lab-process';
import { VIP4 } from '../../../src/lab/topology';

const SCRIPT = join(__dirname, '../clients/hold.mjs');
const HELD_TIMEOUT_MS = 120_000;
const END_TIMEOUT_MS = 30_000;
/** A client process can have 20,000 descriptors on common hosts. */
const MOST_PER_PROCESS = 10_000;

/** A request of which an octet is to come: who serves it waits, for as long as the connection is held. */
const UNFINISHED = 'POST /sum HTTP/1.1\r\nHost: lab\r\nContent-Length: 1\r\n\r\n';

/** What became of the connections; see clients/hold.mjs. */
export interface Held {
  readonly opened: number;
  readonly failed: number;
  readonly reset: number;
  readonly closed: number;
  readonly answers: Readonly<Record<string, number>>;
}

export interface HoldOptions {
  readonly count: number;
  readonly address?: string;
  readonly port?: number;
  /** All addresses of the host, without them. */
  readonly sources?: readonly string[];
  /** Handshakes at once, per process. */
  readonly parallel?: number;
  /** Whether the next connection waits for the response on one before. */
  readonly answerFirst?: boolean;
  readonly text?: string;
  readonly drip?: string;
  readonly dripMs?: number;
  readonly read?: boolean;
}

/** Adopted connections of each agent. */
export function adoptedBy(cluster: Cluster): Promise<number[]> {
  return Promise.all(
    cluster.lab.backends.map((_, index) => cluster.agentMetric(index + 1, 'baton_agent_connections')),
  );
}

/** Opens connections to the VIP that stay until they are stopped, and returns when agents have them. */
export async function holdAdopted(
  cluster: Cluster,
  options: Pick<HoldOptions, 'count' | 'parallel' | 'sources'>,
): Promise<Holders> {
  const adopted = async (): Promise<number> => (await adoptedBy(cluster)).reduce((a, b) => a + b);
  const before = await adopted();
  const held = await Holders.start(cluster.client, { ...options, text: UNFINISHED }).held();
  await cluster.until('held connections', async () => (await adopted()) === before + options.count);
  return held;
}

/** Many connections of a client host that are held open while a test looks at what they do to others. */
export class Holders {
  private constructor(private readonly processes: readonly LabProcess[]) {}

  /** Begins to open them. */
  static start(host: Host, { count, ...options }: HoldOptions): Holders {
    const shares = Array.from({ length: Math.ceil(count / MOST_PER_PROCESS) }, (_, k) =>
      Math.min(MOST_PER_PROCESS, count - k * MOST_PER_PROCESS),
    );
    const argvs = shares.map((share) => {
      const given = { address: VIP4, sources: host.addresses4, ...options, count: share };
      return [process.execPath, SCRIPT, JSON.stringify(given)];
    });
    return new Holders(argvs.map((argv) => host.spawn(argv, { stdio: ['pipe', 'pipe', 'inherit'] })));
  }

  /** Returns when each is open or has failed. */
  held(): Promise<this> {
    return this.said('held');
  }

  /** Returns when each has got a response. */
  answered(): Promise<this> {
    return this.said('answered');
  }

  /** Closes what is still open, and returns what became of all. */
  async stop(): Promise<Held> {
    const results = this.processes.map(async (one) => {
      one.endInput();
      return JSON.parse(await one.waitForLine('"opened"', END_TIMEOUT_MS)) as Held;
    });
    return (await Promise.all(results)).reduce(add);
  }

  private async said(line: string): Promise<this> {
    await Promise.all(this.processes.map((one) => one.waitForLine(line, HELD_TIMEOUT_MS)));
    return this;
  }
}

function add(a: Held, b: Held): Held {
  const answers = { ...a.answers };
  for (const [line, count] of Object.entries(b.answers)) answers[line] = (answers[line] ?? 0) + count;
  return {
    opened: a.opened + b.opened,
    failed: a.failed + b.failed,
    reset: a.reset + b.reset,
    closed: a.closed + b.closed,
    answers,
  };
}
