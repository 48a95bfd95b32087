/**
 * The application of the routing suite, as a handler: it notes whatever it is asked for, and says who answered.
 *
 *     GET /seen      every request so far, as `METHOD URL`; not noted itself
 *     .../early      413 at once, without a look at the body
 *     .../keep       promises to keep the connection alive
 *     .../slow       answers a little late
 *     anything else  { node, method, url, bytes, sha256 }, the last two of the body
 */
import { createHash } from 'node:crypto';

const SLOW_MS = 100;
const seen = [];

export function note(request, kind = request.method) {
  seen.push(`${kind} ${request.url}`);
}

export default function handle(request, response) {
  if (request.url === '/seen') {
    sendJson(response, seen);
    return;
  }
  note(request);
  const { pathname } = new URL(request.url, 'http://app');
  if (pathname.endsWith('/early')) {
    response.writeHead(413, { 'content-length': 0 }).end();
    return;
  }
  if (pathname.endsWith('/keep')) response.setHeader('connection', 'keep-alive');
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (piece) => {
    hash.update(piece);
    bytes += piece.length;
  });
  request.on('end', () => {
    const answer = () =>
      sendJson(response, {
        node: process.env.BATON_NODE,
        method: request.method,
        url: request.url,
        bytes,
        sha256: hash.digest('hex'),
      });
    if (pathname.endsWith('/slow')) setTimeout(answer, SLOW_MS);
    else answer();
  });
}

function sendJson(response, value) {
  const text = JSON.stringify(value);
  response.setHeader('content-length', Buffer.byteLength(text));
  response.end(text);
}
