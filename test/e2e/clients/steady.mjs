/**
 * New connections at a steady rate, each with one request, whatever happens on the other side: prints `started` with the first
 * of them, goes on until its standard input ends, waits for the last ones, and prints as JSON what became of how many.
 *
 *   served        the whole response, and the right one
 *   refused       no connection: nobody listened
 *   unconnected   no answer to the handshake in time
 *   reset         RST after the handshake and before the response was complete
 *   closed        FIN, likewise
 *   wrong         anything else that came
 *   hung          nothing for `patienceMs`, and the connection still open: nobody serves it, and the client is not told
 *
 * At most `mostOpen` are open at once: on a machine that is too slow for the rate they are started later, and not heaped up.
 *
 * Options: { address, sources, rate, patienceMs, bytes, mostOpen }.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { expectedSha256 } from '../bytes.mjs';
import { options } from './load.mjs';

const { address, sources, rate, patienceMs, bytes, mostOpen } = options();
const SEED = 7;
const EXPECTED = expectedSha256(bytes, SEED);
const REQUEST = `GET /bytes?n=${bytes}&seed=${SEED} HTTP/1.1\r\nHost: steady\r\nConnection: close\r\n\r\n`;
const TICK_MS = 10;

const outcomes = {
  served: 0,
  refused: 0,
  unconnected: 0,
  reset: 0,
  closed: 0,
  wrong: 0,
  hung: 0,
};
/** Of the served ones, from the first packet to the last, ms. */
const latencies = [];
/** When responses were complete, for the longest time without one. */
let lastServed = performance.now();
let longestGap = 0;
let started = 0;
let open = 0;
let stopping = false;

function served(began) {
  const now = performance.now();
  latencies.push(now - began);
  longestGap = Math.max(longestGap, now - lastServed);
  lastServed = now;
}

function start() {
  const source = sources[started++ % sources.length];
  open += 1;
  const began = performance.now();
  const pieces = [];
  let connected = false;
  let ended = false;
  const socket = connect({ host: address, port: 80, localAddress: source });
  const end = (outcome) => {
    if (ended) return;
    ended = true;
    if (outcome === 'served') served(began);
    outcomes[outcome] += 1;
    open -= 1;
    socket.destroy();
    if (stopping && open === 0) report();
  };
  socket.setTimeout(patienceMs, () => end(connected ? 'hung' : 'unconnected'));
  socket.once('connect', () => {
    connected = true;
    socket.write(REQUEST);
  });
  socket.on('data', (piece) => pieces.push(piece));
  socket.once('end', () => end(outcomeOf(Buffer.concat(pieces))));
  socket.once('error', ({ code }) => {
    if (connected) end('reset');
    else end(code === 'ETIMEDOUT' || code === 'EHOSTUNREACH' ? 'unconnected' : 'refused');
  });
}

function outcomeOf(response) {
  if (response.length === 0) return 'closed';
  const bodyAt = response.indexOf('\r\n\r\n') + 4;
  const sha256 = createHash('sha256').update(response.subarray(bodyAt)).digest('hex');
  if (response.subarray(0, 13).toString('latin1') === 'HTTP/1.1 200 ' && sha256 === EXPECTED) return 'served';
  return response.length - bodyAt < bytes && response.toString('latin1', 9, 12) === '200'
    ? 'closed'
    : 'wrong';
}

function report() {
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.floor(share * (latencies.length - 1))] ?? 0;
  console.log(
    JSON.stringify({
      started,
      ...outcomes,
      longestGap,
      p50: at(0.5),
      p99: at(0.99),
      max: latencies.at(-1) ?? 0,
    }),
  );
  process.exit(0);
}

let tickedAt = performance.now();
let due = 0;
const timer = setInterval(() => {
  const now = performance.now();
  due = Math.min(due + ((now - tickedAt) / 1000) * rate, mostOpen);
  tickedAt = now;
  for (; due >= 1 && open < mostOpen; due--) start();
}, TICK_MS);
process.stdin.resume();
process.stdin.once('end', () => {
  stopping = true;
  clearInterval(timer);
  if (open === 0) report();
});
start();
console.log('started');
