/**
 * Requests of adopted connections that are not for the server of this agent: a server of the agent's own answers them, or
 * relays them to where they belong.
 *
 *   client's socket --> gate ---- the others ---> the server
 *          ^              \
 *          |               +--- one message ---> Detour --> relay server --> origin
 *          +------------------------------------- answer ------+
 *
 * To the relay server a detour is a client's connection as any other. It is a Socket without a handle, because the relay's
 * tunnels ask for more than a Duplex has.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Destination, DestinationOf } from '../relay/destination';
import { Relay } from '../relay/relay';
import { createRelayServer } from '../relay/server';

/** What a detour tells the gate in front of it. */
export interface DetourEvents {
  /** It takes more of the message. */
  ready(): void;
  /** The answer is out, all of it. */
  answered(): void;
  /** It is over, with the answer or without: so is the client's connection, unless it was idle. */
  closed(): void;
}

/** What is said of the client, in X-Forwarded-For above all. */
const ADDRESSES = ['remoteAddress', 'remotePort', 'remoteFamily', 'localAddress', 'localPort'] as const;

type Done = (error?: Error | null) => void;

/** One client's connection, as the relay server sees it. */
export class Detour extends Socket {
  /** Where the message goes that is fed next. */
  destination: Destination = 503;
  /** What follows is not HTTP: all of it belongs here. */
  tunnel = false;

  constructor(
    private readonly client: Socket,
    private readonly events: DetourEvents,
  ) {
    super({ allowHalfOpen: true });
    for (const key of ADDRESSES) Object.defineProperty(this, key, { get: () => client[key] });
  }

  /** The answer to the message is out, or broken off. */
  answered(): void {
    this.events.answered();
  }

  /** What follows the message is the origin's. */
  upgraded(): void {
    this.tunnel = true;
    // The relay's own listener comes next.
    process.nextTick(() => this.events.ready());
  }

  /** Octets of the message, or what follows an upgrade; false when it takes no more for now. */
  feed(octets: Buffer): boolean {
    refresh(this);
    return this.push(Buffer.from(octets));
  }

  override _read(): void {
    this.events.ready();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: Done): void {
    refresh(this);
    this.client.write(chunk, encoding, done);
  }

  override _writev(chunks: { chunk: Buffer; encoding: BufferEncoding }[], done: Done): void {
    refresh(this);
    this.client.cork();
    chunks.forEach(({ chunk, encoding }, i) =>
      this.client.write(chunk, encoding, i === chunks.length - 1 ? done : undefined),
    );
    this.client.uncork();
  }

  /** The relay server has said its last word to the client. */
  override _final(done: Done): void {
    this.client.end(() => done());
  }

  override _destroy(_error: Error | null, done: Done): void {
    this.events.closed();
    super._destroy(null, done);
  }

  /** An answer is broken off: the client must not take what it has for the whole. */
  override resetAndDestroy(): this {
    this.client.resetAndDestroy();
    return this.destroy();
  }
}

/** Node's sockets put their timeout off with every octet, but only where a handle moves it. */
function refresh(socket: Socket): void {
  (socket as unknown as { _unrefTimer(): void })._unrefTimer();
}

/** What becomes of requests that are not for the server: values of the label `action` of agent_diverted_requests_total. */
export const DIVERSIONS = ['relayed', 'answered', 'refused'] as const;
export type Diversion = (typeof DIVERSIONS)[number];

/** The agent's own server, and its relay. */
export class Detours {
  readonly counts: Record<Diversion, number> = { relayed: 0, answered: 0, refused: 0 };
  readonly #relay = new Relay();
  readonly #server: Server;

  /** What the other server promises idle clients, milliseconds: an answer of either may be their last. */
  constructor(keepAliveTimeout: number) {
    const destinationOf: DestinationOf = ({ socket }) => detourOf(socket).destination;
    this.#server = createRelayServer(this.#relay, destinationOf, { keepAliveTimeout });
    // Behind the server's own, which tells who is next when an answer is out.
    for (const event of ['request', 'checkContinue']) this.#server.on(event, onRequest);
    this.#server.prependListener('upgrade', (_request: IncomingMessage, socket) => {
      detourOf(socket).upgraded();
    });
  }

  open(client: Socket, events: DetourEvents): Detour {
    const detour = new Detour(client, events);
    this.#server.emit('connection', detour);
    return detour;
  }

  /** Ends what is left. */
  async close(): Promise<void> {
    this.#server.close();
    await this.#relay.destroy();
  }
}

/** The relay server has no other connections. */
function detourOf(socket: Duplex): Detour {
  if (socket instanceof Detour) return socket;
  throw new TypeError('not a detour');
}

function onRequest({ socket }: IncomingMessage, response: ServerResponse): void {
  response.once('close', () => detourOf(socket).answered());
}
