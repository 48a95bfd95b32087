import type { Host } from '../src/lab/host';

export interface LoadOptions {
  /** `host:port`. */
  readonly target: string;
  readonly path: string;
  readonly connections: number;
  readonly seconds: number;
  /** Whether each request has a connection of its own. */
  readonly close: boolean;
  /** A Lua script that makes the requests, and its arguments. */
  readonly script?: readonly string[];
}

/** What a load generator has seen. */
export interface LoadResult {
  readonly requests: number;
  readonly seconds: number;
  /** Of responses, heads included. */
  readonly bytes: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Answers that are no 2xx or 3xx, and sockets that failed. */
  readonly failures: number;
}

/** Room for a tool to start and to print. */
const GRACE_MS = 30_000;
const UNIT_MS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, m: 60_000 };
const UNIT_BYTES: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** Runs wrk, one thread, on a client's host. */
export async function wrk(host: Host, options: LoadOptions): Promise<LoadResult> {
  const { target, path, connections, seconds, close, script = [] } = options;
  const [file, ...given] = script;
  const header = close ? ['-H', 'Connection: close'] : [];
  const argv = [
    'wrk',
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    '--timeout',
    '30s',
    '--latency',
    ...header,
    ...(file === undefined ? [] : ['-s', file]),
  ];
  const behind = file === undefined ? [] : ['--', ...given];
  const { code, stdout, stderr } = await host.run([...argv, `http://${target}${path}`, ...behind], {
    timeoutMs: seconds * 1000 + GRACE_MS,
  });
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  return parse(stdout);
}

/** Takes wrk's report apart; lines about failures are there only where there are some. */
export function parse(text: string): LoadResult {
  const [, requests = '', time = '', timeUnit = '', read = '', readUnit = ''] =
    /(\d+) requests in ([\d.]+)(us|ms|s|m), ([\d.]+)([KMG]?)B read/.exec(text) ?? [];
  const latency = (share: number): number => {
    const [, value = '', unit = ''] = new RegExp(`${share}% +([\\d.]+)(us|ms|s|m)`).exec(text) ?? [];
    return Number(value) * (UNIT_MS[unit] ?? NaN);
  };
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests: Number(requests),
    seconds: (Number(time) * (UNIT_MS[timeUnit] ?? NaN)) / 1000,
    bytes: Number(read) * (UNIT_BYTES[readUnit] ?? NaN),
    p50: latency(50),
    p99: latency(99),
    failures: [...socketErrors, ...bad].reduce((sum, count) => sum + Number(count), 0),
  };
}
