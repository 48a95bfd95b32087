/**
 * Requests that have a connection each, one at a time and so many a second, with a clock that is read between system
 * calls: prints `ready` when code and caches are warm, waits for the end of its standard input, asks, and prints what came
 * of all as JSON.
 *
 * Blocking sockets without an event loop, because that would take as long as what is measured: between the calls here are
 * a few microseconds. A request that is due before the last one is done begins as soon as it is.
 *
 * Its only argument is a Schedule as JSON.
 */
import { must } from '../../src/kernel/errors';
import { SOCKADDR_BYTES, sockaddrFromEndpoint } from '../../src/kernel/flow';
import { close, connect, recv, send, setsockopt, socket } from '../../src/kernel/libc';
import { AF_INET, MSG_NOSIGNAL, SOCK_CLOEXEC, SOCK_STREAM, SOL_SOCKET } from '../../src/kernel/socket';
import type { Schedule, Times } from '../one-at-a-time';

const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
/** Of one call, connect(2) among them (socket(7)); far longer than a retransmission. */
const TIMEOUT_SECONDS = 5;
const timeout = Buffer.alloc(16);
timeout.writeBigInt64LE(BigInt(TIMEOUT_SECONDS), 0);

const STATUS = Buffer.from('HTTP/1.1 200 ');
const HEAD_END = Buffer.from('\r\n\r\n');
/** More than a response. */
const answer = Buffer.alloc(64 * 1024);

const schedule = JSON.parse(process.argv[2] ?? '') as Schedule;
let asked = 0;
const request = requestOf(schedule);
const addresses = schedule.targets.map(addressOf);

function addressOf(target: string): Buffer {
  const [host = '', port] = target.split(':');
  const address = Buffer.alloc(SOCKADDR_BYTES);
  return address.subarray(0, sockaddrFromEndpoint(host, Number(port), address));
}

/** The next one in turn. */
function nextAddress(): Buffer {
  const address = addresses[asked++ % addresses.length];
  if (address === undefined) throw new RangeError('no targets');
  return address;
}

/** A download asks for so many octets, an upload sends them; the body is sent with the head, in one call. */
function requestOf({ direction, bytes }: Schedule): Buffer {
  const common = 'Host: bench\r\nConnection: close\r\n';
  if (direction === 'download') return Buffer.from(`GET /${bytes} HTTP/1.1\r\n${common}\r\n`);
  const head = `POST / HTTP/1.1\r\n${common}Content-Length: ${bytes}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bytes, 'upload')]);
}

/** How long one took, as in Times. */
interface Answer {
  readonly firstByte: number;
  readonly sinceConnected: number;
  readonly whole: number;
}

/** One request on a connection of its own; throws where the answer is not the right one, or does not come. */
function ask(): Answer {
  const address = nextAddress();
  const fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), 'socket');
  try {
    for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) {
      must(setsockopt(fd, SOL_SOCKET, option, timeout, timeout.length), 'set timeout');
    }
    const began = performance.now();
    must(connect(fd, address, address.length), 'connect');
    const connected = performance.now();
    const sent = must(send(fd, request, request.length, MSG_NOSIGNAL), 'send');
    if (sent < request.length) throw new Error(`sent ${sent} octets of ${request.length}`);
    const first = must(recv(fd, answer, answer.length, 0), 'receive');
    const came = performance.now();
    const length = readToEnd(fd, first);
    const ended = performance.now();
    check(answer.subarray(0, length));
    return { firstByte: came - began, sinceConnected: came - connected, whole: ended - began };
  } finally {
    close(fd);
  }
}

/** The rest of the response behind the octets that are there; returns its length. */
function readToEnd(fd: number, first: number): number {
  let length = first;
  for (let more = first; more > 0 && length < answer.length; length += more) {
    more = must(recv(fd, answer.subarray(length), answer.length - length, 0), 'receive');
  }
  return length;
}

/** The body is what was asked for, or says how many octets have arrived. */
function check(response: Buffer): void {
  const body = response.subarray(response.indexOf(HEAD_END) + HEAD_END.length);
  const { direction, bytes } = schedule;
  const right = direction === 'download' ? body.length === bytes : body.toString() === String(bytes);
  if (!right || !response.subarray(0, STATUS.length).equals(STATUS)) {
    throw new Error(`wrong answer: ${JSON.stringify(response.toString('latin1', 0, 200))}`);
  }
}

const sleeper = new Int32Array(new SharedArrayBuffer(4));

/** Sleeps without an event loop until performance.now() says so. */
function sleepUntil(time: number): void {
  const left = time - performance.now();
  if (left > 0) Atomics.wait(sleeper, 0, 0, left);
}

function run({ count = Infinity, rate, seconds }: Schedule): Times {
  const answers: Answer[] = [];
  const errors: string[] = [];
  const began = performance.now();
  const end = began + seconds * 1000;
  for (let k = 0; k < count; k++) {
    const due = began + (k * 1000) / rate;
    if (Math.max(due, performance.now()) > end) break;
    sleepUntil(due);
    try {
      answers.push(ask());
    } catch (error) {
      errors.push((error as Error).message);
    }
  }
  const all = (of: (answer: Answer) => number): number[] => answers.map((answer) => rounded(of(answer)));
  return {
    seconds: (performance.now() - began) / 1000,
    firstByte: all(({ firstByte }) => firstByte),
    sinceConnected: all(({ sinceConnected }) => sinceConnected),
    whole: all(({ whole }) => whole),
    errors,
  };
}

/** To a tenth of a microsecond: what is behind that is noise, and would make the result long. */
function rounded(ms: number): number {
  return Math.round(ms * 1e4) / 1e4;
}

for (let k = 0; k < schedule.warmUp * addresses.length; k++) ask();
process.stdout.write('ready\n');
process.stdin.resume().once('end', () => {
  process.stdout.write(`${JSON.stringify(run(schedule))}\n`);
});
