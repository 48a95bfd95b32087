import { createCipheriv } from 'node:crypto';
import { hostname } from 'node:os';
import { Readable } from 'node:stream';
import Fastify from 'fastify';

/** The app of `baton demo`: ordinary Fastify, as it would run without a load balancer. */
const app = Fastify();
const node = process.env.BATON_NODE ?? hostname();

const BLOCK = Buffer.alloc(64 * 1024);
const MOST_BYTES = 1024 ** 3;
const DOWNLOAD_QUERY = {
  type: 'object',
  required: ['bytes'],
  properties: { bytes: { type: 'integer', minimum: 1, maximum: MOST_BYTES } },
};

app.get('/healthz', () => ({ ok: true }));

app.get('/download', { schema: { querystring: DOWNLOAD_QUERY } }, (request, reply) => {
  const { bytes } = request.query;
  return reply
    .type('application/octet-stream')
    .header('content-length', bytes)
    .send(Readable.from(content(bytes), { objectMode: false }));
});

// Behind a handoff `request.ip` is the client's own address, without X-Forwarded-For.
app.get('/*', (request) => ({ node, path: request.url, client: request.ip }));

/** A keystream: the same on every backend, and no two places in it are alike, so a lost or moved byte shows. */
function* content(bytes) {
  const cipher = createCipheriv('aes-128-ctr', 'a key for a demo', Buffer.alloc(16));
  for (let left = bytes; left > 0; left -= BLOCK.length) {
    yield cipher.update(left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK);
  }
}

export default app;
