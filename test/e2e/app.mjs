/**
 * The application of the end-to-end suites: what serves behind the agents, or as their upstream.
 *
 *     GET  /healthz            200
 *     GET  /who                { node, client, port, path, headers } as this end sees them
 *     GET  /bytes?n=N&seed=S   N bytes of the seed, see bytes.mjs
 *     GET  /whole?n=N&seed=S   the same, all of it given to Node at once
 *     POST /sum                { bytes, sha256, client, node } of the body; PUT too
 *     GET  /slow?ms=N          answers N milliseconds late
 *     POST /echo               the body, as it comes
 *     POST /fail?code=N        from now on /who answers with status N; without a code, with 200 again
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { pipeline } from 'node:stream/promises';
import { bytes } from './bytes.mjs';

/** Which backend this is: every one runs the same program. */
const node = process.env.BATON_NODE;

/** Bounds what a mistaken test can ask for. */
const MOST_SLOW_MS = 60_000;

/** Status of /who. */
let status = 200;

const HANDLERS = {
  '/healthz': (_request, response) => response.end('ok\n'),
  '/who': who,
  '/bytes': sendBytes,
  '/whole': sendWhole,
  '/sum': sum,
  '/slow': slow,
  '/echo': (request, response) => pipeline(request, response),
  '/fail': fail,
};

export default function handle(request, response) {
  const url = new URL(request.url, 'http://app');
  const handler = Object.hasOwn(HANDLERS, url.pathname) ? HANDLERS[url.pathname] : notFound;
  // Only a lost connection gets here; the client's own checks report what it misses.
  Promise.resolve(handler(request, response, url.searchParams)).catch(() => response.destroy());
}

function who(request, response) {
  const { remoteAddress: client, remotePort: port } = request.socket;
  response.statusCode = status;
  sendJson(response, { node, client, port, path: request.url, headers: request.headers });
}

async function sendBytes(_request, response, query) {
  const n = Number(query.get('n'));
  response.setHeader('content-type', 'application/octet-stream');
  response.setHeader('content-length', n);
  for (const piece of bytes(n, query.get('seed') ?? 0)) {
    if (!response.write(piece)) await drained(response);
  }
  response.end();
}

function sendWhole(_request, response, query) {
  response.setHeader('content-type', 'application/octet-stream');
  response.end(Buffer.concat([...bytes(Number(query.get('n')), query.get('seed') ?? 0)]));
}

/** A response whose connection is lost never drains. */
async function drained(response) {
  const lost = new AbortController();
  const stop = () => lost.abort();
  response.once('close', stop);
  await once(response, 'drain', { signal: lost.signal });
  response.off('close', stop);
}

async function sum(request, response) {
  const hash = createHash('sha256');
  let length = 0;
  for await (const piece of request) {
    hash.update(piece);
    length += piece.length;
  }
  sendJson(response, {
    bytes: length,
    sha256: hash.digest('hex'),
    client: request.socket.remoteAddress,
    node,
  });
}

async function slow(_request, response, query) {
  await sleep(Math.min(Number(query.get('ms')), MOST_SLOW_MS));
  response.end('late\n');
}

function fail(_request, response, query) {
  status = Number(query.get('code') ?? 200);
  sendJson(response, { node, status });
}

function notFound(_request, response) {
  response.statusCode = 404;
  response.end('no such path\n');
}

function sendJson(response, value) {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify(value));
}
