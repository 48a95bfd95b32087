import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import {
  connect,
  createServer as createTcpServer,
  type AddressInfo,
  type Server,
  type Socket,
} from 'node:net';
import type { Endpoint } from '../../src/config/model';

/** A server on loopback with its open connections, which `close` cuts. */
export interface TestServer {
  readonly endpoint: Endpoint;
  readonly sockets: ReadonlySet<Socket>;
  /** Connections accepted so far. */
  readonly accepted: () => number;
  close(): Promise<void>;
}

export function httpServer(listener: RequestListener, host = '127.0.0.1'): Promise<TestServer> {
  return listen(createServer(listener), host);
}

export function httpsServer(options: ServerOptions, listener: RequestListener): Promise<TestServer> {
  return listen(createTlsServer(options, listener), '127.0.0.1');
}

export function tcpServer(onConnection: (socket: Socket) => void): Promise<TestServer> {
  return listen(createTcpServer(onConnection), '127.0.0.1');
}

/** Resolves when no connection to the server is open any more, so when the client has closed its ends. */
export async function allClosed({ sockets }: TestServer): Promise<void> {
  // Not events.once: that rejects on the reset which a client causes by closing with unread data.
  await Promise.all([...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
}

/** A loopback address that refuses connections: its port was just free. */
export async function refusingEndpoint(): Promise<Endpoint> {
  const server = await tcpServer(() => undefined);
  await server.close();
  return server.endpoint;
}

/** Listens with the shortest queue and never accepts: its event loop is blocked, until it ends in any case. */
const DEAF_PROGRAM = `
  const server = require('node:net').createServer();
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    require('node:fs').writeSync(1, String(server.address().port));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20_000);
    process.exit();
  });`;

/** A loopback address whose kernel drops every further SYN, as a host behind a silent firewall would. */
export async function deafEndpoint(): Promise<{ endpoint: Endpoint; close: () => Promise<void> }> {
  const child = spawn(process.execPath, ['-e', DEAF_PROGRAM], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [port] = (await once(child.stdout, 'data')) as [Buffer];
  const endpoint: Endpoint = { host: '127.0.0.1', port: Number(port.toString()), family: 4 };
  // A queue of length n holds n + 1 connections (Linux: sk_acceptq_is_full).
  const fillers = [connect(endpoint), connect(endpoint)];
  await Promise.all(fillers.map((filler) => once(filler, 'connect')));
  const close = async (): Promise<void> => {
    const exited = once(child, 'exit');
    for (const filler of fillers) filler.destroy();
    child.kill('SIGKILL');
    await exited;
  };
  return { endpoint, close };
}

async function listen(server: Server, host: string): Promise<TestServer> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  return {
    endpoint: { host, port: (server.address() as AddressInfo).port, family: host.includes(':') ? 6 : 4 },
    sockets,
    accepted: () => accepted,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
