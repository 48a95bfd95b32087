import { join } from 'node:path';
import type { Cluster } from '../../lab/cluster';
import type { LabProcess, LinePredicate } from '../../lab/lab-process';

export const MIB = 1024 ** 2;
/** Long enough to be interrupted, short enough for a demo. */
export const DOWNLOAD_BYTES = 256 * MIB;

const PROGRAM = join(__dirname, 'client-download.js');
const PATH = `/download?bytes=${DOWNLOAD_BYTES}`;
/** Some seconds are normal; a connection that lost its backend would wait for minutes. */
const TIMEOUT_MS = 15_000;

/** A download through the VIP that is under way. */
export class Download {
  readonly #startedAt = performance.now();

  private constructor(
    private readonly program: LabProcess,
    /** The client's end of the flow, as in the front's list of flows. */
    readonly client: string,
  ) {}

  /** Returns when the response has begun: the connection is its backend's then. */
  static async start({ client, lab }: Cluster): Promise<Download> {
    const program = client.spawn([process.execPath, PROGRAM, `http://${lab.vip4}${PATH}`]);
    const line = await program.waitForLine('port ', TIMEOUT_MS);
    return new Download(program, `${client.address4}:${line.slice('port '.length)}`);
  }

  /** Bytes that the client has read; up to one MiB more may have come. */
  get received(): number {
    return this.program.lines.reduce((bytes, line) => Math.max(bytes, receivedOf(line)), 0);
  }

  async reaches(bytes: number): Promise<void> {
    await this.#line((line) => receivedOf(line) >= bytes);
  }

  /** Lets it go on where it waits for the front's death. */
  frontIsDead(): void {
    this.program.kill('SIGHUP');
  }

  /** Lets it run as fast as it can, to its end. */
  async finish(): Promise<{ bytes: number; sha256: string; seconds: number }> {
    this.program.kill('SIGUSR2');
    const line = await this.#line('done ');
    const seconds = (performance.now() - this.#startedAt) / 1_000;
    return { ...(JSON.parse(line.slice('done '.length)) as { bytes: number; sha256: string }), seconds };
  }

  /** The client dies: its kernel closes the connection. */
  async abandon(): Promise<void> {
    this.program.kill('SIGKILL');
    await this.program.exited;
  }

  async #line(predicate: LinePredicate): Promise<string> {
    try {
      return await this.program.waitForLine(predicate, TIMEOUT_MS);
    } catch (cause) {
      throw new Error(`it stopped at ${Math.floor(this.received / MIB)} MiB`, { cause });
    }
  }
}

/** The checksum of the same content from a backend's own address: no load balancer, and another program to sum up. */
export async function directChecksum({ client, lab }: Cluster): Promise<string> {
  const url = `http://${lab.host('b1').address4}:8080${PATH}`;
  const pipe = `curl -sS -m 10 '${url}' | sha256sum`;
  const { stdout } = await client.run(['sh', '-c', pipe], { timeoutMs: TIMEOUT_MS });
  return stdout.slice(0, 64);
}

function receivedOf(line: string): number {
  return line.startsWith('received ') ? Number(line.slice('received '.length)) : 0;
}
