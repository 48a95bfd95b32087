/**
 * GET /who on a new connection each, at a steady rate, whatever comes back: prints `started`, goes on until its standard input
 * ends, waits for the last ones, and prints as JSON { answers: [{ at, status, node }] }. `at` is when the answer was complete,
 * Unix time in ms; `status` is 0 where there was none, for 10 s or because the connection broke.
 *
 * Options: { address, sources, rate }.
 */
import { connect } from 'node:net';
import { options } from './load.mjs';

const { address, sources, rate } = options();
const PATIENCE_MS = 10_000;
const REQUEST = 'GET /who HTTP/1.1\r\nHost: asking\r\nConnection: close\r\n\r\n';

const answers = [];
let asked = 0;
let stopping = false;

function ask() {
  const localAddress = sources[asked++ % sources.length];
  const pieces = [];
  const socket = connect({ host: address, port: 80, localAddress }, () => socket.write(REQUEST));
  socket.setTimeout(PATIENCE_MS, () => socket.destroy());
  socket.on('data', (piece) => pieces.push(piece));
  socket.on('error', () => undefined);
  socket.once('close', () => {
    answers.push({ at: Date.now(), ...read(Buffer.concat(pieces).toString('latin1')) });
    if (stopping && answers.length === asked) report();
  });
}

function read(text) {
  const [, status = 0] = /^HTTP\/1\.1 (\d{3}) /.exec(text) ?? [];
  const [, node] = /"node":"(\w+)"/.exec(text) ?? [];
  return { status: Number(status), node };
}

function report() {
  console.log(JSON.stringify({ answers }));
  process.exit(0);
}

const timer = setInterval(ask, 1000 / rate);
process.stdin.resume();
process.stdin.once('end', () => {
  stopping = true;
  clearInterval(timer);
  if (answers.length === asked) report();
});
console.log('started');
