/**
 * What serves adopted connections: an http.Server of this process (`app`), or a relay to any HTTP server on this host
 * (`upstream`). Either way it is an http.Server that is given sockets.
 */
import { createServer, Server, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import type { Endpoint, ServeConfig } from '../config/model';
import { LONGEST_HEAD_BYTES, prepareFedServer, trackConnections } from '../relay/fed-server';
import { OpenConnections } from '../relay/open-connections';
import { Relay } from '../relay/relay';
import { createRelayServer } from '../relay/server';

export interface Adapter {
  readonly server: Server;
  /** Takes no ordinary connections from now on, and leaves those alone that are `adopted`; `close` follows. */
  stopListening(adopted: (socket: Socket) => boolean): void;
  /** Lets requests of ordinary connections finish until `deadline` (performance.now()). */
  close(deadline: number): Promise<void>;
}

/** What a Fastify instance has that matters here. */
interface FastifyLike {
  readonly server: Server;
  ready(): PromiseLike<unknown>;
}

/** Anything that `attach` and `serve.app` accept as the application. */
export type Application = RequestListener | Server | FastifyLike;

export async function openAdapter(serve: ServeConfig): Promise<Adapter> {
  return serve.kind === 'upstream' ? upstreamAdapter(serve.upstream) : appAdapter(serve.app, serve.listen);
}

/** The http.Server behind an application; a Fastify instance is made ready first. */
export async function serverOf(application: Application): Promise<Server> {
  if (application instanceof Server) return application;
  if (typeof application === 'function')
    return prepareFedServer(createServer({ maxHeaderSize: LONGEST_HEAD_BYTES }, application));
  await application.ready();
  return application.server;
}

function upstreamAdapter(upstream: string): Adapter {
  const relay = new Relay();
  const server = createRelayServer(relay, () => ({ origin: upstream }));
  return {
    server,
    // It has none but adopted ones, which are the agent's to end.
    stopListening: () => undefined,
    close: async () => {
      server.close();
      await relay.destroy();
    },
  };
}

async function appAdapter(file: string, listen: Endpoint | undefined): Promise<Adapter> {
  // The application may print; that its reader is gone or its disk is full must not end it, and all its connections.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const server = await serverOf(await importApplication(file));
  let spared = (_socket: Socket): boolean => false;
  const connections = new OpenConnections(server, (socket) => !spared(socket));
  if (listen !== undefined) await startListening(server, listen);
  else if (!server.listening) trackConnections(server);
  return {
    server,
    stopListening: (adopted) => {
      spared = adopted;
      connections.stopListening();
    },
    close: (deadline) => connections.drain(deadline),
  };
}

async function importApplication(file: string): Promise<Application> {
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as { default?: unknown };
  } catch (cause) {
    throw new Error(`serve.app: import ${file}: ${(cause as Error).message}`, { cause });
  }
  const { default: exported } = module;
  if (!isApplication(exported)) {
    throw new Error(
      `serve.app: ${file} has no (req, res) handler, http.Server or Fastify instance as default export`,
    );
  }
  return exported;
}

function isApplication(value: unknown): value is Application {
  if (typeof value === 'function' || value instanceof Server) return true;
  if (typeof value !== 'object' || value === null) return false;
  const candidate = value as Partial<FastifyLike>;
  return candidate.server instanceof Server && typeof candidate.ready === 'function';
}

function startListening(server: Server, { host, port }: Endpoint): Promise<void> {
  return new Promise((resolve, reject) => {
    const refused = (cause: Error): void =>
      reject(new Error(`serve.listen ${host}:${port}: ${cause.message}`, { cause }));
    server.once('error', refused);
    server.listen(port, host, () => {
      server.off('error', refused);
      // Errors of accept(2), descriptors that ran out above all: they pass, and must not end the agent.
      server.on('error', () => undefined);
      resolve();
    });
  });
}
