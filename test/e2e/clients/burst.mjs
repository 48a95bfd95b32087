/**
 * Opens many connections with a request each, says `sent` when all requests are on their way and `answered` when all are
 * answered, and closes them when its standard input says so.
 *
 * Options: { address, sources, count }.
 */
import { connect } from 'node:net';
import { options } from './load.mjs';

/** Connections whose handshakes are under way at once: fewer than the kernel's queue of half-open ones holds. */
const LANES = 50;

const { address, sources, count } = options();
const REQUEST = `GET /healthz HTTP/1.1\r\nHost: ${address}\r\nUser-Agent: burst\r\nAccept: */*\r\n\r\n`;
const sockets = [];
let answered = 0;
let next = 0;

function open() {
  const k = next++;
  if (k >= count) return Promise.resolve();
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 80, localAddress: sources[k % sources.length] });
    sockets.push(socket);
    socket.once('connect', () => socket.write(REQUEST, resolve));
    socket.once('data', () => {
      answered += 1;
      if (answered === count) console.log('answered');
    });
  }).then(open);
}

await Promise.all(Array.from({ length: LANES }, open));
console.log('sent');
process.stdin.once('data', () => {
  for (const socket of sockets) socket.destroy();
  process.stdin.destroy();
});
