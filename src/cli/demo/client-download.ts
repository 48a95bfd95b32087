/**
 * A program for the client's namespace: downloads at a pace that leaves time to do something to the front.
 *
 *     node client-download.js URL
 *
 * Up to PACED_FROM bytes it reads as fast as it can, then PACE bytes a second. At FRONT_DEAD_BY it waits for SIGHUP, and at
 * HOLD_AT for SIGUSR2, which ends all that: the rest comes as fast as it can. Its lines: `port NUMBER`, `received BYTES` about every MiB, and in the end
 * `done {"bytes":BYTES,"sha256":HEX}`.
 */
import { createHash } from 'node:crypto';
import { get, type IncomingMessage } from 'node:http';

const MIB = 1024 ** 2;
const PACED_FROM = 96 * MIB;
const PACE = 64 * MIB;
/** The front may take its time to die on a busy machine, and 64 MiB have to come between its death and HOLD_AT. */
const FRONT_DEAD_BY = 128 * MIB;
/** The download must still be running when the front is back, however long that takes. */
const HOLD_AT = 208 * MIB;
const TICK_MS = 10;

const hash = createHash('sha256');
let received = 0;
let reported = 0;
let pacedSince: number | undefined;
let frontDead = false;
let unleashed = false;

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function mayRead(): boolean {
  if (unleashed || received < PACED_FROM) return true;
  pacedSince ??= performance.now();
  const allowed = PACED_FROM + (PACE * (performance.now() - pacedSince)) / 1_000;
  return received < Math.min(allowed, frontDead ? HOLD_AT : FRONT_DEAD_BY);
}

function follow(response: IncomingMessage): void {
  const timer = setInterval(() => {
    if (mayRead()) response.resume();
  }, TICK_MS);
  response.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    received += chunk.length;
    if (received - reported >= MIB) say(`received ${(reported = received)}`);
    if (!mayRead()) response.pause();
  });
  response.on('error', fail);
  response.on('end', () => {
    clearInterval(timer);
    say(`done ${JSON.stringify({ bytes: received, sha256: hash.digest('hex') })}`);
  });
}

/** Ends this program at once: whoever waits for its next line learns that none will come. */
function fail(error: Error): void {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}

process.on('SIGHUP', () => (frontDead = true));
process.on('SIGUSR2', () => (unleashed = true));
get(process.argv[2] ?? '', { agent: false, headers: { connection: 'close' } }, (response) => {
  say(`port ${String(response.socket.localPort)}`);
  follow(response);
}).on('error', fail);
