/** The application as a Fastify instance. */
import Fastify from 'fastify';
import handle from './handler.mjs';
import { addUpgrades } from './server.mjs';

// As Node's own servers do: idle connections of the relay would stay for 72 s otherwise.
const app = Fastify({ keepAliveTimeout: 5_000 });

// Bodies are for the handler to read, whatever they are.
app.removeAllContentTypeParsers();
app.addContentTypeParser('*', (_request, _payload, done) => done(null));
app.all('/*', (request, reply) => {
  reply.hijack();
  handle(request.raw, reply.raw);
});
addUpgrades(app.server);

export default app;
