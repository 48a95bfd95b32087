/**
 * Opens many connections and holds them: prints `held` when each is open or has failed, `answered` when each has got a
 * response, and when its standard input ends closes all and prints as JSON what became of how many.
 *
 *   opened   handshakes that were completed, as far as the client can tell
 *   failed   those that were not
 *   reset    ended by the other side with a RST
 *   closed   ended by the other side with a FIN
 *   answers  first lines of responses -> how often
 *
 * Options: { address, port (80), sources, count, parallel, answerFirst, text, drip, dripMs, read }: `parallel` are on their way
 * at once, each until its handshake is done or, with `answerFirst`, its response is there, so that no server's backlog is
 * full. Each sends `text` at once, then `drip` character by character, one every `dripMs`, or each as soon as the one before is
 * gone; with `read: false` what comes is left in the kernel's buffers.
 */
import { connect } from 'node:net';
import { options } from './load.mjs';

const {
  address,
  port = 80,
  sources,
  count,
  parallel = 200,
  answerFirst = false,
  text = '',
  drip = '',
  dripMs = 0,
  read = true,
} = options();
const result = { opened: 0, failed: 0, reset: 0, closed: 0, answers: {} };
const sockets = new Set();
let next = 0;
let answered = 0;

function open() {
  const k = next++;
  if (k >= count) return Promise.resolve();
  return new Promise((done) => {
    const socket = connect({ host: address, port, localAddress: sources[k % sources.length] });
    socket.setNoDelay(true);
    let connected = false;
    socket.once('connect', () => {
      connected = true;
      result.opened += 1;
      sockets.add(socket);
      if (text !== '') socket.write(text);
      if (!answerFirst) done();
    });
    socket.on('error', () => {
      if (connected && sockets.has(socket)) result.reset += 1;
      else if (!connected) result.failed += 1;
    });
    socket.once('end', () => (result.closed += 1));
    socket.once('close', () => {
      sockets.delete(socket);
      done();
    });
    if (answerFirst) socket.once('data', done);
    if (read) follow(socket);
    else socket.pause();
  }).then(open);
}

/** Notes the first line of each response; their bodies are of no interest, and their number is small. */
function follow(socket) {
  socket.on('data', (piece) => {
    for (const [line] of piece.toString('latin1').matchAll(/^HTTP\/1\.1 \d{3}/gm)) {
      result.answers[line] = (result.answers[line] ?? 0) + 1;
      if (++answered === count) console.log('answered');
    }
  });
}

/** One write after the other, or Node would send them together. */
function dripFast(socket, at) {
  if (at < drip.length) socket.write(drip[at], () => dripFast(socket, at + 1));
}

/** Each begins when it is open, and goes on with the others. */
function dripSlowly() {
  const positions = new WeakMap();
  const timer = setInterval(() => {
    for (const socket of sockets) {
      const at = positions.get(socket) ?? 0;
      positions.set(socket, at + 1);
      if (at < drip.length) socket.write(drip[at]);
    }
  }, dripMs);
  timer.unref();
}

if (dripMs > 0) dripSlowly();
await Promise.all(Array.from({ length: Math.min(parallel, count) }, open));
if (dripMs === 0) for (const socket of sockets) dripFast(socket, 0);
console.log('held');
process.stdin.resume();
process.stdin.once('end', () => {
  for (const socket of sockets) {
    sockets.delete(socket);
    socket.destroy();
  }
  console.log(JSON.stringify(result));
  process.exit(0);
});
