/**
 * Keeps connections alive and asks on them, again and again: prints `asking` when each has got its first response, and when its
 * standard input ends, and the last responses are there, a JSON line about what it saw.
 *
 *   opened    connections; each is opened once, and nothing that ends one is made up for
 *   requests  that were answered as they should be
 *   wrong     responses that were not; the first few in `errors`
 *   reset, closed   connections that the other side ended, by RST or FIN
 *   unanswered      requests that got no response within `timeoutMs`
 *   nodes     who answered -> how often; changes: how often a connection was answered by another node than before
 *   ms        durations of requests, one of so many that there are 2000 at most; of those behind a change, and of the others,
 *             likewise: changedMs, keptMs
 *
 * Options: { address, port (80), sources, count, pauseMs ([least, most] between a response and the next request), paths (asked
 * in turn), bodyEvery (every so many requests is a POST with a body), timeoutMs (10000) }
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { options } from './load.mjs';

const {
  address,
  port = 80,
  sources,
  count,
  pauseMs = [0, 50],
  paths = ['/who'],
  bodyEvery = 0,
  timeoutMs = 10_000,
} = options();

const result = {
  opened: 0,
  requests: 0,
  wrong: 0,
  reset: 0,
  closed: 0,
  unanswered: 0,
  changes: 0,
  nodes: {},
  ms: [],
  changedMs: [],
  keptMs: [],
  errors: [],
};
let stopping = false;
let answeredFirst = 0;
const running = [];

/** Asks on one connection until the end. */
async function ask(k) {
  const socket = connect({ host: address, port, localAddress: sources[k % sources.length] });
  socket.setNoDelay(true);
  const reader = new Reader(socket);
  let node;
  for (let n = 0; !stopping; n++) {
    const path = `${paths[n % paths.length]}?c=${k}&n=${n}`;
    const body =
      bodyEvery > 0 && n % bodyEvery === bodyEvery - 1 ? `${k}.${n};`.repeat(1 + ((n * 37) % 4000)) : '';
    const head =
      body === ''
        ? `GET ${path} HTTP/1.1\r\nHost: ${address}\r\n\r\n`
        : `POST /sum?c=${k}&n=${n} HTTP/1.1\r\nHost: ${address}\r\nContent-Length: ${body.length}\r\n\r\n`;
    const began = performance.now();
    socket.write(head + body);
    const text = await reader.response();
    if (text === undefined) return;
    const ended = performance.now();
    // The first one has a handshake in front of it.
    if (n > 0) result.ms.push(ended - began);
    const answer = JSON.parse(text);
    const right =
      body === ''
        ? answer.path === path
        : answer.bytes === body.length && answer.sha256 === createHash('sha256').update(body).digest('hex');
    if (!right) note(`connection ${k} asked for ${path} and got ${text}`);
    else result.requests += 1;
    if (node !== undefined && node !== answer.node) {
      result.changes += 1;
      result.changedMs.push(ended - began);
    } else if (n > 0) result.keptMs.push(ended - began);
    node = answer.node;
    result.nodes[node] = (result.nodes[node] ?? 0) + 1;
    if (n === 0 && ++answeredFirst === count) console.log('asking');
    const [least, most] = pauseMs;
    const pause = least + Math.random() * (most - least);
    if (pause > 0) await new Promise((done) => setTimeout(done, pause));
  }
  reader.ended = true;
  socket.destroy();
}

function note(error) {
  result.wrong += 1;
  if (result.errors.length < 5) result.errors.push(error);
}

/** Takes responses of a known length out of a connection, one at a time. */
class Reader {
  text = '';
  ended = false;
  waiting = undefined;

  constructor(socket) {
    socket.on('connect', () => (result.opened += 1));
    socket.on('data', (piece) => {
      this.text += piece.toString('latin1');
      this.look();
    });
    socket.on('error', (error) => this.end('reset', error));
    socket.on('end', () => this.end('closed'));
  }

  response() {
    return new Promise((done) => {
      if (this.ended) return done(undefined);
      const timer = setTimeout(() => this.end('unanswered'), timeoutMs);
      this.waiting = (text) => {
        clearTimeout(timer);
        this.waiting = undefined;
        done(text);
      };
      this.look();
    });
  }

  look() {
    const head = /^HTTP\/1\.1 200 [^]*?\r\ncontent-length: (\d+)\r\n(?:[^]*?\r\n)?\r\n/i.exec(this.text);
    if (head === null) {
      if (this.text.length > 4096) this.end('wrong', new Error(this.text.slice(0, 200)));
      return;
    }
    const end = head[0].length + Number(head[1]);
    if (this.text.length < end || this.waiting === undefined) return;
    const body = this.text.slice(head[0].length, end);
    this.text = this.text.slice(end);
    this.waiting(body);
  }

  end(how, error) {
    if (this.ended) return;
    this.ended = true;
    result[how] += 1;
    if (result.errors.length < 5)
      result.errors.push(`${how}: ${error?.message ?? ''} ${this.text.slice(0, 200)}`);
    this.waiting?.(undefined);
  }
}

/** A line of output may have 64 KiB. */
function sampled(ms) {
  const sorted = ms.sort((a, b) => a - b);
  const step = Math.max(1, sorted.length / 2000);
  const kept = Array.from({ length: Math.min(sorted.length, 2000) }, (_, k) => sorted[Math.floor(k * step)]);
  // The slowest one is what is looked for.
  if (kept.length > 0) kept[kept.length - 1] = sorted.at(-1);
  return kept.map((each) => Math.round(each * 100) / 100);
}

for (let k = 0; k < count; k++) running.push(ask(k));
process.stdin.on('end', () => (stopping = true)).resume();
await Promise.all(running);
for (const key of ['ms', 'changedMs', 'keptMs']) result[key] = sampled(result[key]);
console.log(JSON.stringify(result));
process.exit(0);
