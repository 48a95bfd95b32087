import { join } from 'node:path';
import { Cluster, type ClusterOptions } from '../../../src/lab/cluster';
import type { Host } from '../../../src/lab/host';
import { configure } from '../../../src/lab/ip';
import type { LabProcess } from '../../../src/lab/lab-process';
import { untilNothingLeft } from '../faults/remains';
import { APP } from '../support';

const RAW = join(__dirname, 'raw.cjs');

/** Addresses that no host has, on the client's cable: what sends from them is raw.cjs. */
export const RAW_ADDRESSES = { 4: '198.18.1.200', 6: '2001:2::1:200' } as const;

/**
 * An ended flow must still be known when a packet of its client's comes, and how long a lost one takes to come again nobody
 * can say on a busy machine: as long as the raw client itself waits (TIMEOUT_MS of raw-tcp.cjs).
 */
const TIMEOUTS = { head: '3s', prepare: '5s', linger: '15s' } as const;
/** For those flows to go when their test is over. */
const SHORT_LINGER = '300ms';

/** A connection of raw.cjs; further keys are the scenario's. */
export interface RawCase {
  readonly name: string;
  readonly scenario: string;
  readonly [option: string]: unknown;
}

/** How a connection of the raw client went, and what its scenario says beside. */
export interface RawResult {
  readonly name: string;
  readonly error?: string;
  readonly end?: 'FIN' | 'RST' | 'open';
  /** Who sent payload: `front`, `backend`, both, or nobody. */
  readonly by?: string;
  /** Payload of the largest segment that came, octets. */
  readonly largest?: number;
  readonly [more: string]: unknown;
}

/** A cluster with a client of whose packets the test has made every octet. */
export class OddCluster {
  #port = 20_000;

  private constructor(
    readonly cluster: Cluster,
    private readonly macs: { readonly client: string; readonly front: string },
  ) {}

  static async start(options: Partial<ClusterOptions> = {}): Promise<OddCluster> {
    const cluster = await Cluster.start({
      app: APP,
      front: { timeouts: TIMEOUTS },
      ...options,
    });
    try {
      const { client, frontHost, lab } = cluster;
      const macs = { client: await macOf(client), front: await macOf(frontHost) };
      for (const host of [frontHost, ...lab.backends]) {
        const neighbours = Object.values(RAW_ADDRESSES).map(
          (address) => `neigh replace ${address} lladdr ${macs.client} dev eth0 nud permanent`,
        );
        // Whole packets, as a cable has them: the raw client would see 64 KiB of a stream as one.
        await configure(host.netns, {}, [...neighbours, 'link set dev eth0 gso_max_segs 1']);
      }
      return new OddCluster(cluster, macs);
    } catch (error) {
      await cluster.destroy();
      throw error;
    }
  }

  /** Waits until no program holds anything of any connection, when all clients have ended. */
  async untilNothingLeft(descriptors: number): Promise<void> {
    await this.#reload({ ...TIMEOUTS, linger: SHORT_LINGER });
    await untilNothingLeft(this.cluster, descriptors);
    await this.#reload(TIMEOUTS);
  }

  /** What the old generation has counted is a generation's on its way out: nobody should ask before it is gone. */
  async #reload(timeouts: Readonly<Record<string, string>>): Promise<void> {
    const { cluster } = this;
    cluster.writeFrontConfig({ timeouts });
    const { status, body } = await cluster.frontPost('/v1/reload');
    if (status !== 200) throw new Error(`reload: ${status} ${JSON.stringify(body)}`);
    await cluster.allUp();
  }

  /** Starts cases of raw.cjs all at once, each from a port of its own. */
  raw(family: 4 | 6, cases: readonly RawCase[]): LabProcess {
    const { lab, client } = this.cluster;
    const target = family === 4 ? lab.vip4 : lab.vip6;
    const options = {
      family,
      source: RAW_ADDRESSES[family],
      target,
      mac: this.macs.client,
      to: this.macs.front,
      cases: cases.map((one) => ({ ...one, sport: ++this.#port })),
    };
    return client.spawn([process.execPath, RAW, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }
}

/** Waits for the end of all cases. */
export async function resultsOf(running: LabProcess): Promise<RawResult[]> {
  const { code } = await running.exited;
  if (code !== 0) throw new Error(`raw client: exit code ${String(code)}\n${running.stderrText}`);
  const lines = running.stdoutText.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line) as RawResult);
}

async function macOf(host: Host): Promise<string> {
  const { stdout } = await host.run(['ip', '-json', 'link', 'show', 'eth0']);
  return (JSON.parse(stdout) as { address: string }[])[0]?.address ?? '';
}
