import { once } from 'node:events';
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { serverOf } from '../../src/agent/adapters';
import type { RoutableHead } from '../../src/peek/head';
import { Relay } from '../../src/relay/relay';
import { createRelayServer } from '../../src/relay/server';
import { RequestHead } from '../../src/relay/request-head';
import { fieldOf, slowMessage, type SlowMessage } from '../fuzz/slow-head';
import type { Reading } from './cases';

/** A connection that has not ended by then is held by one of its ends for ever. */
const END_MS = 10_000;
/** The relay adds fields. */
const UPSTREAM_LIMITS = { bytes: 65_536, fields: 200 };

/** What came of the bytes of one connection. */
export interface Outcome {
  /** The requests that the server's listener got, in order. */
  readonly seen: readonly Reading[];
  /** The status of every response. */
  readonly answers: readonly number[];
  /** The server found octets that are no request. */
  readonly refused: boolean;
  /** What routing gets to know of each request on a connection that the front relays itself. */
  readonly routed: readonly RoutableHead[];
}

/** An http.Server as an agent has it, fed with connections over loopback, that tells how it reads what it gets. */
export abstract class ReadingServer {
  #server!: Server;
  /** What the listener saw on the connection that is being served. */
  protected seen: Reading[] = [];
  protected routed: RoutableHead[] = [];
  #refused = false;
  readonly #sockets = new Set<Socket>();

  protected abstract open(): Promise<HttpServer>;

  async start(): Promise<this> {
    const http = await this.open();
    // A listener would take the answer over from Node.
    const emit = http.emit.bind(http) as (...given: unknown[]) => boolean;
    http.emit = (event: string, ...given: unknown[]) => {
      this.#refused ||= event === 'clientError';
      return emit(event, ...given);
    };
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      http.emit('connection', socket);
    });
    await listen(this.#server);
    return this;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /**
   * Sends the bytes on a connection of their own, says that there will be no more, and waits for its end. Another client
   * has another address: all of 127.0.0.0/8 is this host.
   */
  async read(bytes: Buffer, client = '127.0.0.1'): Promise<Outcome> {
    this.seen = [];
    this.routed = [];
    this.#refused = false;
    const port = portOf(this.#server);
    const socket = connect({ port, host: '127.0.0.1', localAddress: client, allowHalfOpen: true });
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    // A server that has read enough may reset the connection; what it said until then counts.
    socket.on('error', () => undefined);
    socket.once('end', () => socket.destroy());
    socket.end(bytes);
    const ended = await once(socket, 'close', { signal: AbortSignal.timeout(END_MS) }).catch(() => undefined);
    if (ended === undefined) {
      socket.destroy();
      throw new Error(`the connection has not ended after ${END_MS} ms; received: ${text.slice(0, 300)}`);
    }
    return { seen: this.seen, answers: statusesIn(text), refused: this.#refused, routed: this.routed };
  }
}

/** The server of `serve.app`. */
export class AppServer extends ReadingServer {
  protected override open(): Promise<HttpServer> {
    return serverOf((request: IncomingMessage, response: ServerResponse) => {
      const { seen } = this;
      this.routed.push(new RequestHead(request, 'web'));
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
      request.on('end', () => {
        seen.push({ ...placeOf(request), body });
        response.end('ok');
      });
    });
  }
}

/** The server of `serve.upstream`, and what its upstream gets from it. */
export class UpstreamServer extends ReadingServer {
  readonly upstream = new RawUpstream();
  readonly #relay = new Relay();

  protected override async open(): Promise<HttpServer> {
    await this.upstream.start();
    return createRelayServer(this.#relay, (request) => {
      this.seen.push({ ...placeOf(request), body: '' });
      this.routed.push(new RequestHead(request, 'web'));
      return { origin: this.upstream.origin };
    });
  }

  override async close(): Promise<void> {
    await super.close();
    await this.#relay.destroy();
    await this.upstream.close();
  }
}

/**
 * An upstream that reads octets by the strict rules of slow-head.ts and answers each request with 200. What it cannot
 * read is kept: nothing of that kind may come from a relay.
 */
export class RawUpstream {
  readonly #server = createServer((socket) => this.#serve(socket));
  readonly #sockets = new Set<Socket>();
  /** By the client that the relay names; what it had begun when that client went may come late. */
  readonly messages = new Map<string, SlowMessage[]>();
  /** Octets that are no request. */
  readonly rubbish: string[] = [];

  async start(): Promise<void> {
    await listen(this.#server);
  }

  get origin(): string {
    return `http://127.0.0.1:${portOf(this.#server)}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(message: SlowMessage): void {
    const client = fieldOf(message.head, 'x-forwarded-for')?.split(', ').at(-1) ?? '';
    const earlier = this.messages.get(client);
    if (earlier === undefined) this.messages.set(client, [message]);
    else earlier.push(message);
  }

  #serve(socket: Socket): void {
    let unread = '';
    this.#sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      unread += chunk.toString('latin1');
      for (;;) {
        const message = slowMessage(unread, UPSTREAM_LIMITS);
        if (message === 'bad' || (message === 'none' && unread.includes('\r\n\r\n'))) {
          this.rubbish.push(unread);
          socket.destroy();
        }
        if (typeof message === 'string') return;
        unread = unread.slice(message.length);
        this.#keep(message);
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      }
    });
  }
}

function placeOf(request: IncomingMessage): Omit<Reading, 'body'> {
  return { method: request.method ?? '', url: request.url ?? '', host: request.headers.host ?? '' };
}

/** Bodies here contain no such line. */
function statusesIn(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

async function listen(server: Server): Promise<void> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
