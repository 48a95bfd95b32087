import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyListenOptions,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { Logger } from 'pino';
import type { Registry } from 'prom-client';
import { formatEndpoint } from '../config/addresses';
import type { AdminListen, Endpoint } from '../config/model';
import type { AdminAccess } from './admin-access';
import { listenOnSocket, removeAtEnd } from './admin-socket';
import { AllowedMethods } from './allowed-methods';

/** Requests are a path and at most a small JSON object. */
const BODY_LIMIT_BYTES = 64 * 1024;
/** An operator or a scraper sends its request at once; a slower one holds a connection for nothing. */
const REQUEST_TIMEOUT_MS = 10_000;
/** A few scrapers, probes and operators; the file descriptors belong to the data path. */
const MAX_CONNECTIONS = 256;

/** What to do about an address that cannot be bound, by errno. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there: stop it or change admin.listen',
  EADDRNOTAVAIL: 'this host does not have the address: add it or change admin.listen',
  EACCES: 'ports below 1024 need root or CAP_NET_BIND_SERVICE: grant it or change admin.listen',
};

/** The same for a Unix socket. */
const SOCKET_ADVICE: Readonly<Record<string, string>> = {
  // libuv says the same of a directory that is not there.
  EACCES: 'its directory is missing, or this user may not write there: mend that or change admin.listen',
  EEXIST: 'another process has just taken it: stop it or change admin.listen',
};

/**
 * The part of the admin API that front and agent share: `GET /healthz`, `/readyz`, `/metrics`, and errors as
 * `{error: message}`. The caller adds its own routes and then calls listenAdmin; `close()` also cuts open requests.
 */
export function createAdmin(options: {
  readonly registry: Registry;
  readonly ready: () => boolean;
  readonly access: AdminAccess;
  readonly logger: Logger;
}): FastifyInstance {
  const fail = (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void => {
    const status = error.statusCode ?? 500;
    if (status >= 500)
      options.logger.error({ err: error, path: request.url.split('?', 1)[0] }, 'admin request failed');
    void reply.code(status).send({ error: error.message });
  };
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // A stopping process does not wait for a scraper that keeps its connection.
    forceCloseConnections: true,
    frameworkErrors: fail,
  });
  app.server.maxConnections = MAX_CONNECTIONS;
  app.setErrorHandler(fail);
  options.access.guard(app);
  answerUnknownRoutes(app);
  app.get('/healthz', () => ({ status: 'ok' }));
  app.get('/readyz', (_request, reply) =>
    options.ready() ? reply.send({ status: 'ready' }) : reply.code(503).send({ status: 'not ready' }),
  );
  app.get('/metrics', async (_request, reply) =>
    reply.type(options.registry.contentType).send(await options.registry.metrics()),
  );
  return app;
}

/**
 * Binds the admin API and returns where: the address with the real port where `listen.port` is 0, or the socket.
 * @throws Error with address, errno and advice; the original is its `cause`.
 */
export async function listenAdmin(
  app: FastifyInstance,
  listen: AdminListen,
): Promise<{ host: string; port: number } | { socket: string }> {
  if ('socket' in listen) {
    try {
      await listenOnSocket(app, listen.socket);
    } catch (error) {
      throw listenError(`unix:${listen.socket}`, SOCKET_ADVICE, error);
    }
    return listen;
  }
  return listenOnAddress(app, listen);
}

/**
 * Serves the admin API from a listening socket of another process, which has bound it to `listen`.
 * @param held whether that process is a service manager, which keeps it and its name.
 */
export async function inheritAdmin(
  app: FastifyInstance,
  listen: AdminListen,
  { fd, held }: { readonly fd: number; readonly held: boolean },
): Promise<void> {
  // Fastify passes it on to Node's server, which takes a descriptor in place of an address. Without a host it would look for
  // more addresses of `localhost`.
  const options: FastifyListenOptions & { fd: number } = { host: '', fd };
  await app.listen(options);
  if ('socket' in listen && !held) removeAtEnd(app.server, listen.socket);
}

async function listenOnAddress(
  app: FastifyInstance,
  listen: Endpoint,
): Promise<{ host: string; port: number }> {
  try {
    await app.listen({ host: listen.host, port: listen.port });
  } catch (error) {
    throw listenError(formatEndpoint(listen), ADVICE, error);
  }
  const address = app.server.address();
  if (address === null || typeof address === 'string') throw new Error('admin: the server has no IP address');
  return { host: address.address, port: address.port };
}

function answerUnknownRoutes(app: FastifyInstance): void {
  const allowed = new AllowedMethods();
  app.addHook('onRoute', (route) => allowed.add(route.url, route.method));
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '';
    const methods = allowed.of(path);
    if (methods.length === 0) return reply.code(404).send({ error: `no such resource: ${path}` });
    return reply
      .code(405)
      .header('allow', methods.join(', '))
      .send({ error: `${request.method} is not allowed on ${path}: use ${methods.join(' or ')}` });
  });
}

function listenError(where: string, advices: Readonly<Record<string, string>>, cause: unknown): Error {
  const { code, message } = cause as NodeJS.ErrnoException;
  const advice = code === undefined ? undefined : advices[code];
  const reason = advice === undefined ? message : `${code}, ${advice}`;
  return new Error(`admin: listen on ${where}: ${reason}`, { cause });
}
