import type { Host } from '../../src/lab/host';

/** Room for a tool to start and to print. */
const GRACE_MS = 15_000;

export interface BenchOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** One request per connection instead of keep-alive. */
  readonly close?: boolean;
  /** h2load: so many requests, and `seconds` for them at most. Against a server that closes it never ends otherwise. */
  readonly requests?: number;
}

export interface BenchResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  /** Answers that are not 2xx (wrk: nor 3xx), and requests or sockets that failed in any way. */
  readonly failures: number;
}

/** Runs wrk, which reports failures only where there are some. */
export async function wrk(
  host: Host,
  { url, connections, seconds, close }: BenchOptions,
): Promise<BenchResult> {
  const header = close === true ? ['-H', 'Connection: close'] : [];
  const text = await run(host, ['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, ...header, url], seconds);
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? [];
  const bad = /Non-2xx or 3xx responses: (\d+)/.exec(text) ?? [];
  return {
    requests: figure(text, /(\d+) requests in/),
    requestsPerSecond: figure(text, /Requests\/sec: +([\d.]+)/),
    failures: [...socketErrors.slice(1), ...bad.slice(1)].reduce((sum, count) => sum + Number(count), 0),
  };
}

/** Runs h2load with HTTP/1.1. */
export async function h2load(
  host: Host,
  { url, connections, seconds, requests: wanted }: BenchOptions,
): Promise<BenchResult> {
  const amount = wanted === undefined ? `-D${seconds}` : `-n${wanted}`;
  const text = await run(host, ['h2load', '--h1', '-t1', `-c${connections}`, amount, url], seconds);
  const requests = figure(text, /(\d+) succeeded/);
  const failed = [/(\d+) failed/, /(\d+) errored/, /(\d+) timeout/, /(\d+) 3xx/, /(\d+) 4xx/, /(\d+) 5xx/];
  return {
    requests,
    requestsPerSecond: figure(text, /([\d.]+) req\/s/),
    failures: failed.reduce((sum, pattern) => sum + figure(text, pattern), 0),
  };
}

async function run(host: Host, argv: readonly string[], seconds: number): Promise<string> {
  const { code, stdout, stderr } = await host.run(argv, { timeoutMs: seconds * 1000 + GRACE_MS });
  if (code !== 0) throw new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}${stderr}`);
  return stdout;
}

function figure(text: string, pattern: RegExp): number {
  const found = pattern.exec(text)?.[1];
  if (found === undefined) throw new Error(`no ${String(pattern)} in:\n${text}`);
  return Number(found);
}
