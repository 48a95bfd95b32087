/** A load of a fixed rate: what a request costs then does not depend on how many of them meet. */
import type { Host } from '../src/lab/host';

export interface Pace {
  /** `http://host:port/path`. */
  readonly url: string;
  /** Requests per second. */
  readonly rate: number;
  readonly seconds: number;
  /** Connections that stay and share the requests; without it every request has a connection of its own. */
  readonly connections?: number;
}

export interface PacedResult {
  readonly requests: number;
  /** What became of the rate. */
  readonly requestsPerSecond: number;
  /** Answers that are no 2xx, and requests that have none. */
  readonly failures: number;
}

/** New connections are opened at this distance, several at once where the rate is higher. */
const PERIOD_MS = 20;
/** Room for a tool to start and to print. */
const GRACE_MS = 30_000;

/** Runs h2load, one thread, with HTTP/1.1 on a client's host. */
export async function paced(host: Host, pace: Pace): Promise<PacedResult> {
  const { url, rate, seconds, connections } = pace;
  const requests = rate * seconds;
  const how =
    connections === undefined
      ? [
          `-c${requests}`,
          `-r${(rate * PERIOD_MS) / 1000}`,
          `--rate-period=${PERIOD_MS}ms`,
          '-H',
          'Connection: close',
        ]
      : [`-c${connections}`, `--rps=${rate / connections}`];
  const argv = ['h2load', '--h1', '-t1', `-n${requests}`, ...how, url];
  const { code, stdout, stderr } = await host.run(argv, { timeoutMs: seconds * 1000 + GRACE_MS });
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  const good = Number(/(\d+) 2xx/.exec(stdout)?.[1]);
  return {
    requests,
    requestsPerSecond: Number(/([\d.]+) req\/s/.exec(stdout)?.[1]),
    failures: requests - good,
  };
}
