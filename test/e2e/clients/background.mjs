/**
 * Transfers one after the other in several lanes until standard input ends: what is under way then comes to its end.
 * Each transfer is slow enough to be in the middle of something at any time. Prints `started` when every lane has a
 * transfer under way, and in the end JSON: { begun, complete, bytes, failed, longest }.
 *
 * Options: { address, port, downloads, uploads, bytes, source }.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { bytes, expectedSha256 } from '../bytes.mjs';
import { options } from './load.mjs';

const { address, port, downloads, uploads, bytes: length, source } = options();
/** Between two pieces of a mebibyte: a transfer takes a second or two. */
const PAUSE_MS = 100;
const SEEDS = 8;
const RETRY_MS = 20;
const expected = Array.from({ length: SEEDS }, (_, seed) => expectedSha256(length, seed));
const agent = new Agent({ keepAlive: false });

const result = { begun: 0, complete: 0, bytes: 0, failed: [], longest: 0 };
let stopping = false;
let ready = 0;

/** A transfer counts from its first answer on: until then the front may have had it. */
function begun() {
  result.begun += 1;
  ready += 1;
  if (ready === downloads + uploads) console.log('started');
}

async function download(seed) {
  const outgoing = request({
    host: address,
    port,
    path: `/bytes?n=${length}&seed=${seed}`,
    agent,
    localAddress: source,
  }).end();
  const [response] = await once(outgoing, 'response');
  begun();
  const hash = createHash('sha256');
  let received = 0;
  let nextPause = 2 ** 20;
  try {
    for await (const piece of response) {
      hash.update(piece);
      received += piece.length;
      if (received >= nextPause) {
        nextPause += 2 ** 20;
        await sleep(PAUSE_MS);
      }
    }
    if (hash.digest('hex') !== expected[seed]) throw new Error(`wrong bytes, ${received} of ${length}`);
  } catch (error) {
    throw Object.assign(error, { begun: true });
  }
}

async function upload(seed) {
  // The body begins when the other side has asked for it: from then on the connection is a backend's.
  const headers = { 'content-length': length, expect: '100-continue' };
  const outgoing = request({
    host: address,
    port,
    path: '/sum',
    method: 'POST',
    headers,
    agent,
    localAddress: source,
  });
  outgoing.flushHeaders();
  const early = once(outgoing, 'response').then(() => {
    throw new Error('refused');
  });
  early.catch(() => undefined);
  await Promise.race([once(outgoing, 'continue'), early]);
  begun();
  try {
    const answered = once(outgoing, 'response');
    answered.catch(() => undefined);
    for (const piece of bytes(length, seed)) {
      if (!outgoing.write(piece)) await Promise.race([once(outgoing, 'drain'), answered]);
      await sleep(PAUSE_MS);
    }
    outgoing.end();
    const [response] = await answered;
    response.setEncoding('utf8');
    let text = '';
    for await (const piece of response) text += piece;
    if (JSON.parse(text).sha256 !== expected[seed]) throw new Error('wrong checksum');
  } catch (error) {
    throw Object.assign(error, { begun: true });
  }
}

async function lane(transfer, first) {
  for (let k = first; !stopping; k++) {
    const began = performance.now();
    try {
      await transfer(k % SEEDS);
      result.complete += 1;
      result.bytes += length;
      result.longest = Math.max(result.longest, performance.now() - began);
    } catch (error) {
      // Without a front nobody answers: that is not a transfer yet.
      if (error.begun) result.failed.push(`${transfer.name}: ${error.message}`);
      else await sleep(RETRY_MS);
    }
  }
}

process.stdin.resume();
process.stdin.once('end', () => (stopping = true));
await Promise.all([
  ...Array.from({ length: downloads }, (_, k) => lane(download, k)),
  ...Array.from({ length: uploads }, (_, k) => lane(upload, k)),
]);
console.log(JSON.stringify(result));
process.exit(0);
