/**
 * Transfers that their client ends with a RST in the middle (SO_LINGER with no time): downloads and uploads in turn, each
 * somewhere else.
 *
 * Options: { addresses, count, parallel, bytes, marks }; a job's mark, in bytes, is how far it goes.
 */
import { connect } from 'node:net';
import { bytes } from '../bytes.mjs';
import { options, runJobs, SILENT_MS } from './load.mjs';

const { addresses, bytes: length, marks, ...load } = options();
const KINDS = [upload, download];

function job(k) {
  const mark = marks[Math.floor(k / KINDS.length) % marks.length];
  const socket = connect({ host: addresses[Math.floor(k / 4) % addresses.length], port: 80 });
  return new Promise((resolve, reject) => {
    socket.setTimeout(SILENT_MS, () => socket.destroy(new Error(`silent for ${SILENT_MS} ms`)));
    socket.once('error', reject);
    socket.once('end', () => socket.destroy(new Error('the server has closed')));
    socket.once('close', (failed) => failed || resolve());
    KINDS[k % KINDS.length](socket, k, mark);
  });
}

function download(socket, seed, mark) {
  socket.write(`GET /bytes?n=${length}&seed=${seed} HTTP/1.1\r\nHost: resets\r\n\r\n`);
  let received = 0;
  socket.on('data', (piece) => {
    received += piece.length;
    if (received >= mark) socket.resetAndDestroy();
  });
}

/** What the kernel has taken counts, so a mark has to be more than its buffer holds. */
function upload(socket, seed, mark) {
  const pieces = bytes(length, seed);
  socket.resume();
  socket.write(`POST /sum HTTP/1.1\r\nHost: resets\r\nContent-Length: ${length}\r\n\r\n`);
  const send = () => {
    if (socket.bytesWritten - socket.writableLength >= mark) socket.resetAndDestroy();
    else if (socket.write(pieces.next().value)) setImmediate(send);
    else socket.once('drain', send);
  };
  send();
}

console.log(JSON.stringify(await runJobs(load, job)));
