/**
 * Bulk transfers of one client, all at once: `node transfers.mjs VIP DOWNLOADS UPLOADS BYTES`. Each stops after an
 * eighth; when all have got there the program says `paused`, and goes on at SIGUSR2. Its last line is JSON: the transfers that
 * came through with the right checksum, and what went wrong with the others.
 */
import { Agent, request } from 'node:http';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { bytes, expectedSha256 } from '../bytes.mjs';

const [vip, downloads, uploads, length] = [process.argv[2], ...process.argv.slice(3).map(Number)];
const agent = new Agent({ keepAlive: false });
const goOn = once(process, 'SIGUSR2');
/** Neither a paused socket nor a handler of signals keeps Node running. */
const alive = setInterval(() => undefined, 60_000);
/** Buffers on the way hold some 40 MiB of a download: much more than that has to be left. */
const mark = length / 8;
let reached = 0;

async function pause() {
  reached += 1;
  if (reached === downloads + uploads) console.log('paused');
  await goOn;
}

async function download(seed) {
  const outgoing = request({ host: vip, path: `/bytes?n=${length}&seed=${seed}`, agent }).end();
  const [response] = await once(outgoing, 'response');
  const hash = createHash('sha256');
  let received = 0;
  for await (const piece of response) {
    hash.update(piece);
    const before = received;
    received += piece.length;
    if (before < mark && received >= mark) await pause();
  }
  if (hash.digest('hex') !== expectedSha256(length, seed))
    throw new Error(`wrong bytes, ${received} of ${length}`);
}

async function upload(seed) {
  const headers = { 'content-length': length };
  const outgoing = request({ host: vip, path: '/sum', method: 'POST', headers, agent });
  const answered = once(outgoing, 'response');
  answered.catch(() => undefined);
  let sent = 0;
  for (const piece of bytes(length, seed)) {
    if (!outgoing.write(piece)) await once(outgoing, 'drain');
    const before = sent;
    sent += piece.length;
    if (before < mark && sent >= mark) await pause();
  }
  outgoing.end();
  const [response] = await answered;
  response.setEncoding('utf8');
  let text = '';
  for await (const piece of response) text += piece;
  if (JSON.parse(text).sha256 !== expectedSha256(length, seed)) throw new Error('wrong checksum');
}

const all = [
  ...Array.from({ length: downloads }, (_, k) => download(k + 1)),
  ...Array.from({ length: uploads }, (_, k) => upload(1000 + k)),
];
const results = await Promise.allSettled(all);
clearInterval(alive);
const failed = results.flatMap(({ reason }) => (reason === undefined ? [] : [reason.message]));
console.log(JSON.stringify({ complete: results.length - failed.length, failed }));
