/**
 * What happens to a connection that cannot be handed off: the front relays it to a backend's `http` address, request by
 * request, or refuses it with 503. The backend then sees the front's address; the client's is in X-Forwarded-For. One
 * without a head is cut off in either case.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Answer, Destination } from '../relay/destination';
import { OpenConnections } from '../relay/open-connections';
import { Relay } from '../relay/relay';
import { createRelayServer } from '../relay/server';
import type { Connection } from './connection';
import type { Pool } from './pool';
import { answer, cutOff, refuse } from './refusal';

/** Between two times that idle connections are looked for because there is no room: it means looking at all of them. */
const MAKE_ROOM_MS = 1000;

export class Fallback {
  readonly #relay = new Relay();
  readonly #server: Server;
  readonly #connections: OpenConnections;
  /** Names of the listeners that relayed connections came to. */
  readonly #listeners = new WeakMap<Socket, string>();
  #madeRoomAt = -Infinity;
  #retiring = false;
  /** Responses that are not over: those among them whose head is not written yet can say that they are the last. */
  readonly #responses = new Set<ServerResponse>();

  /**
   * @param destinationOf where a request goes, by its listener; later requests of a relayed connection are routed like first
   * ones.
   * @param ended called once for every connection taken over, when it is gone.
   */
  constructor(
    destinationOf: (request: IncomingMessage, listener: string) => Destination,
    private readonly ended: (connection: Connection) => void,
  ) {
    this.#server = createRelayServer(this.#relay, (request) =>
      destinationOf(request, this.#listeners.get(request.socket) ?? ''),
    );
    this.#connections = new OpenConnections(this.#server);
    for (const event of ['request', 'checkContinue'] as const) {
      this.#server.prependListener(event, (_request, response: ServerResponse) => {
        if (this.#retiring) response.shouldKeepAlive = false;
        this.#responses.add(response);
        response.once('close', () => this.#responses.delete(response));
      });
    }
  }

  /** Takes over a thawed connection. */
  serve(connection: Connection, pool: Pool): void {
    if (connection.raw || !pool.proxies) {
      this.refuse(connection, 503);
      return;
    }
    const socket = new Socket({ fd: connection.fd, allowHalfOpen: true });
    socket.setNoDelay(true);
    socket.on('close', () => this.ended(connection));
    this.#listeners.set(socket, connection.listener);
    this.#server.emit('connection', socket);
  }

  refuse(connection: Connection, status: number): void {
    if (connection.raw) {
      cutOff(connection.fd);
      this.ended(connection);
      return;
    }
    refuse(connection.fd, status, () => this.ended(connection));
  }

  /** Answers the connection's first request, of this method, and closes it. */
  answer(connection: Connection, given: Answer, method: string): void {
    answer(connection.fd, given, method !== 'HEAD', () => this.ended(connection));
  }

  /** Octets of response bodies that crossed user space here. */
  get relayedBytes(): number {
    return this.#relay.bytesToClients;
  }

  /** Descriptors beside those of the connections themselves. */
  get originSockets(): number {
    return this.#relay.originSockets;
  }

  /** From now on the next response of a connection is its last, the one that is being waited for included. */
  retire(): void {
    this.#retiring = true;
    for (const response of this.#responses) if (!response.headersSent) response.shouldKeepAlive = false;
  }

  /** Closes connections that wait for their next request. */
  closeIdle(): void {
    this.#connections.closeIdle();
  }

  /** The same, but not more often than it can help. */
  closeIdleSometimes(): void {
    const now = performance.now();
    if (now - this.#madeRoomAt < MAKE_ROOM_MS) return;
    this.#madeRoomAt = now;
    this.closeIdle();
  }

  /** Ends what is left: requests without an answer get 503, answers under way are broken off. */
  async destroy(): Promise<void> {
    this.#connections.stopListening();
    await this.#relay.destroy();
    this.#connections.end();
  }
}
