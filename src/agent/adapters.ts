/**
 * What serves adopted connections: an http.Server of this process (`app`), or a relay to any HTTP server on this host
 * (`upstream`). Either way it is an http.Server that is given sockets.
 */
import { createServer, Server, type RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { pathToFileURL } from 'node:url';
import type { Endpoint, HttpServeConfig } from '../config/model';
import { LONGEST_HEAD_BYTES, prepareFedServer, trackConnections } from '../relay/fed-server';
import { OpenConnections } from '../relay/open-connections';
import { Relay } from '../relay/relay';
import { createRelayServer } from '../relay/server';
import type { InheritedSockets } from '../succession/inherited-sockets';
import { OrdinaryListener } from './ordinary-listener';
import type { Adopt, TcpApplication } from './tcp-connection';

export interface Adapter {
  readonly server: Server;
  /** The application's, where it takes connections that another one has had. */
  readonly adopt?: Adopt;
  /** Where ordinary connections come from; it has been opened unless it is inherited. */
  readonly ordinary?: OrdinaryListener;
  /** Takes no ordinary connections from now on, and leaves those alone that are `adopted`; `close` follows. */
  stopListening(adopted: (socket: Socket) => boolean): void;
  /** Closes ordinary connections as they become idle, for as long as `goesOn` says. */
  settle(goesOn: () => boolean): Promise<void>;
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

/** @param sockets of the process before this one. */
export async function openAdapter(serve: HttpServeConfig, sockets?: InheritedSockets): Promise<Adapter> {
  if (serve.kind === 'upstream') return upstreamAdapter(serve.upstream);
  return appAdapter(serve.app, serve.listen, sockets);
}

/** The application of `serve.tcp`. */
export async function importTcpApplication(file: string): Promise<TcpApplication> {
  const { default: exported } = await importModule('serve.tcp', file);
  if (!isTcpApplication(exported))
    throw new Error(`serve.tcp: ${file} has no object with a function adopt as default export`);
  return exported;
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
    settle: () => Promise.resolve(),
    close: async () => {
      server.close();
      await relay.destroy();
    },
  };
}

async function appAdapter(
  file: string,
  listen: Endpoint | undefined,
  sockets: InheritedSockets | undefined,
): Promise<Adapter> {
  const { application, adopt } = await importApplication(file);
  const server = await serverOf(application);
  let spared = (_socket: Socket): boolean => false;
  const connections = new OpenConnections(server, (socket) => !spared(socket));
  const ordinary = listen && new OrdinaryListener(server, listen, sockets);
  if (ordinary?.inherited === false) await ordinary.open();
  else if (ordinary === undefined && !server.listening) trackConnections(server);
  return {
    server,
    ...(adopt && { adopt }),
    ...(ordinary && { ordinary }),
    stopListening: (adopted) => {
      spared = adopted;
      connections.stopListening();
    },
    settle: (goesOn) => connections.settle(() => connections.size > 0 && goesOn()),
    close: (deadline) => connections.drain(deadline),
  };
}

interface Imported {
  readonly application: Application;
  readonly adopt?: Adopt;
}

async function importApplication(file: string): Promise<Imported> {
  const { default: application, adopt } = await importModule('serve.app', file);
  if (!isApplication(application)) {
    throw new Error(
      `serve.app: ${file} has no (req, res) handler, http.Server or Fastify instance as default export`,
    );
  }
  if (adopt === undefined) return { application };
  if (typeof adopt !== 'function') throw new Error(`serve.app: ${file} exports adopt, which is no function`);
  return { application, adopt: adopt as Adopt };
}

async function importModule(key: string, file: string): Promise<{ default?: unknown; adopt?: unknown }> {
  // The application may print; that its reader is gone or its disk is full must not end it, and all its connections.
  for (const stream of [process.stdout, process.stderr]) {
    stream.off('error', ignore);
    stream.on('error', ignore);
  }
  try {
    return (await import(pathToFileURL(file).href)) as { default?: unknown; adopt?: unknown };
  } catch (cause) {
    throw new Error(`${key}: import ${file}: ${(cause as Error).message}`, { cause });
  }
}

function ignore(): void {
  // Nobody reads it.
}

function isApplication(value: unknown): value is Application {
  if (typeof value === 'function' || value instanceof Server) return true;
  if (typeof value !== 'object' || value === null) return false;
  const candidate = value as Partial<FastifyLike>;
  return candidate.server instanceof Server && typeof candidate.ready === 'function';
}

function isTcpApplication(value: unknown): value is TcpApplication {
  return typeof (value as Partial<TcpApplication> | null | undefined)?.adopt === 'function';
}
