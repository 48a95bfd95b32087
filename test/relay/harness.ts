import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { connect, createServer, type AddressInfo, type Server as TcpServer, type Socket } from 'node:net';
import { Relay, type RelayOptions } from '../../src/relay/relay';
import type { Destination } from '../../src/relay/destination';
import { createRelayServer, type RelayServerOptions } from '../../src/relay/server';
import { httpServer, tcpServer, type TestServer } from '../health/servers';

/** A client that speaks octets, so that a test sees exactly what is on the wire. */
export class RawClient {
  readonly socket: Socket;
  /** Everything received so far, as Latin-1. */
  received = '';
  /** The error that ended the connection, where there was one. */
  error: NodeJS.ErrnoException | undefined;
  readonly closed: Promise<void>;
  /** Whether the client closes its side as soon as the relay has closed the other. */
  leavesWithPeer = true;

  constructor(port: number) {
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.on('data', (chunk: Buffer) => {
      this.received += chunk.toString('latin1');
      this.socket.emit('progress');
    });
    this.socket.on('end', () => {
      if (this.leavesWithPeer) this.socket.end();
    });
    this.socket.on('error', (error) => {
      this.error = error;
    });
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        this.socket.emit('progress');
        resolve();
      });
    });
  }

  send(text: string): this {
    this.socket.write(text, 'latin1');
    return this;
  }

  /** Resolves with everything received once `pattern` occurs in it; rejects when the connection ends before. */
  async until(pattern: RegExp | string): Promise<string> {
    for (;;) {
      const found =
        typeof pattern === 'string' ? this.received.includes(pattern) : pattern.test(this.received);
      if (found) return this.received;
      if (this.socket.destroyed) throw new Error(`closed before ${String(pattern)}: ${this.received}`);
      await once(this.socket, 'progress');
    }
  }

  /** Everything received by the time at which the connection is closed. */
  async toEnd(): Promise<string> {
    await this.closed;
    return this.received;
  }
}

interface Bench {
  readonly relay: Relay;
  readonly port: number;
  readonly statuses: number[];
  readonly errors: Error[];
  /** The server's ends of all connections that clients have open. */
  readonly sockets: ReadonlySet<Socket>;
  readonly client: () => RawClient;
}

interface BenchOptions {
  readonly relay?: RelayOptions;
  readonly server?: Partial<RelayServerOptions>;
}

const cleanups: (() => Promise<unknown> | undefined)[] = [];

/** Ends whatever the functions below have started. Every suite calls it after each test. */
export async function tearDown(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/**
 * A relay whose server is fed by a listener on loopback; all requests go to the same destination, or to the origins of a
 * list one after the other.
 */
export async function bench(
  destination: string | readonly string[] | Destination,
  options: BenchOptions = {},
): Promise<Bench> {
  const [first, ...others] = [destination].flat();
  const statuses: number[] = [];
  const errors: Error[] = [];
  const hooks = {
    onResponse: (status: number) => statuses.push(status),
    onError: (error: Error) => errors.push(error),
  };
  const relay = new Relay({ hooks, ...options.relay });
  const another = (tried: readonly string[]): string | undefined => others[tried.length - 1] as string;
  const to = typeof first === 'string' ? { origin: first, another } : (first ?? 503);
  const server = createRelayServer(relay, () => to, options.server);
  const sockets = new Set<Socket>();
  const feeder = createServer((socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    server.emit('connection', socket);
  });
  const port = await listenOn(feeder);
  const clients: RawClient[] = [];
  cleanups.push(async () => {
    for (const { socket } of clients) socket.destroy();
    await relay.destroy();
    for (const socket of sockets) socket.destroy();
    server.close();
    await new Promise((resolve) => feeder.close(resolve));
  });
  const client = (): RawClient => {
    const made = new RawClient(port);
    clients.push(made);
    return made;
  };
  return { relay, port, statuses, errors, sockets, client };
}

/** An HTTP origin on loopback; resolves with its URL. */
export async function httpOrigin(listener: RequestListener): Promise<string> {
  return urlOf(keep(await httpServer(listener)));
}

/** An origin that speaks octets. */
export async function rawOrigin(onConnection: (socket: Socket) => void): Promise<string> {
  return urlOf(keep(await tcpServer(onConnection)));
}

/** Calls `onHead` with each request head that arrives on `socket`, body octets included if they come along. */
export function eachHead(socket: Socket, onHead: (head: string) => void): void {
  let pending = '';
  socket.on('data', (chunk: Buffer) => {
    pending += chunk.toString('latin1');
    for (let end = pending.indexOf('\r\n\r\n'); end >= 0; end = pending.indexOf('\r\n\r\n')) {
      const head = pending.slice(0, end + 4);
      pending = pending.slice(end + 4);
      onHead(head);
    }
  });
}

/** Whether `piece` was taken, or false when nothing has moved for 300 ms because all buffers on the way are full. */
export async function wrote(socket: Socket, piece: Buffer | string): Promise<boolean> {
  if (socket.write(piece)) return true;
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), 300);
  try {
    await once(socket, 'drain', { signal: timeout.signal });
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

export function get(path = '/', ...fields: string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: a.example', ...fields, '', ''].join('\r\n');
}

export function urlOf(server: TestServer): string {
  return `http://127.0.0.1:${server.endpoint.port}`;
}

function keep(server: TestServer): TestServer {
  cleanups.push(() => server.close());
  return server;
}

async function listenOn(server: TcpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
