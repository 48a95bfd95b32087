/** A client that asks on one connection after the other, on its own host: clients/one-at-a-time.ts. */
import { join } from 'node:path';
import type { Host } from '../src/lab/host';
import type { LabProcess } from '../src/lab/lab-process';

const CLIENT = join(__dirname, 'clients/one-at-a-time.ts');
/** For Node to start and to compile, and for the last request. */
const GRACE_MS = 20_000;

/** What it does; it ends after `count` requests, where there is such a number, and after `seconds` in any case. */
export interface Schedule {
  /** `host:port`, asked in turn: of several backends each has a state of its own, and its share of what is measured. */
  readonly targets: readonly string[];
  readonly direction: 'download' | 'upload';
  /** Of the body of a response, or of a request. */
  readonly bytes: number;
  /** Requests to each target before the first that counts: code and caches are cold, the client's and the server's. */
  readonly warmUp: number;
  readonly count?: number;
  /** Requests a second, as far as one at a time goes. */
  readonly rate: number;
  readonly seconds: number;
}

/** How long each request took, ms. */
export interface Times {
  /** Of all. */
  readonly seconds: number;
  /** From the beginning of connect(2) to the first octet of the response. */
  readonly firstByte: readonly number[];
  /** From the end of connect(2), which is where the request is sent, to the first octet of the response. */
  readonly sinceConnected: readonly number[];
  /** From the beginning of connect(2) to the end of the connection. */
  readonly whole: readonly number[];
  /** One for each request that did not get the right answer. */
  readonly errors: readonly string[];
}

/** A client that is warm and waits for `run`, which is called once. */
export interface Asker {
  run(): Promise<Times>;
}

/** Starts a client and has it make its first requests. */
export async function openAsker(host: Host, schedule: Schedule): Promise<Asker> {
  // With what this process has for TypeScript.
  const argv = [process.execPath, ...process.execArgv, CLIENT, JSON.stringify(schedule)];
  const client = host.spawn(argv, { stdio: ['pipe', 'pipe', 'pipe'] });
  await client.waitForLine('ready', GRACE_MS);
  return {
    run: () => {
      client.endInput();
      return timesOf(client, schedule.seconds * 1000 + GRACE_MS);
    },
  };
}

async function timesOf(client: LabProcess, timeoutMs: number): Promise<Times> {
  const timer = setTimeout(() => client.kill('SIGKILL'), timeoutMs);
  const { code } = await client.exited;
  clearTimeout(timer);
  if (code !== 0) throw new Error(`one-at-a-time client: exit code ${String(code)}\n${client.stderrText}`);
  return JSON.parse(client.stdoutText.slice(client.stdoutText.indexOf('\n') + 1)) as Times;
}
