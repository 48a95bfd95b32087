/** The application as a Fastify instance: `/who` the Fastify way, everything else handed through. */
import Fastify from 'fastify';
import handle from './app.mjs';
import { addEcho } from './echo-server.mjs';

const app = Fastify();

// Bodies are for the handler to read, whatever they are.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, _payload, done) => done(null));

app.get('/who', ({ ip, url, headers }) => ({ node: process.env.BATON_NODE, client: ip, path: url, headers }));
app.all('/*', (request, reply) => {
  reply.hijack();
  handle(request.raw, reply.raw);
});
addEcho(app.server);

export default app;
