import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { RelayContext, RelayHooks } from './context';
import type { Destination } from './destination';
import { Exchange } from './exchange';
import { DEFAULT_LIMITS, type RelayLimits } from './limits';
import { Origins } from './origins';
import { answer, reply } from './reply';
import { Running } from './running';
import { targetOf } from './target';
import { Tunnel } from './tunnel';

export type { RelayHooks };

export interface RelayOptions extends Partial<RelayLimits> {
  readonly hooks?: RelayHooks;
}

/**
 * Passes requests of an http.Server on to origins, streaming in both directions with backpressure.
 * `origin` is always a URL of scheme, host and port: `http://198.18.0.21:8080`, `http://[2001:db8::21]:8080`.
 *
 * The server needs the wiring of `createRelayServer`: without a `checkContinue` listener Node sends a 100 too many.
 *
 * Not passed on: trailers of requests (RFC 9112 section 7.1.2 allows to drop them) and CONNECT. No Via is added:
 * to the client, agent and application are one origin server, and some servers stop compressing when they see it.
 */
export class Relay {
  private readonly context: RelayContext;

  constructor({ hooks = {}, ...limits }: RelayOptions = {}) {
    const all = { ...DEFAULT_LIMITS, ...limits };
    this.context = {
      limits: all,
      hooks,
      origins: new Origins(all),
      running: new Running(),
      state: { closing: false, bytesToClients: 0 },
    };
  }

  /** Octets of bodies and tunnels that were handed to clients' connections so far. */
  get bytesToClients(): number {
    return this.context.state.bytesToClients;
  }

  /** Connections to origins that are open or being opened: each takes a descriptor, beside that of its client. */
  get originSockets(): number {
    return this.context.origins.sockets;
  }

  /**
   * Answers `response` with what the origin says to `request`: 400 where it is in doubt which site or path is meant, 505
   * for another major version, 502 when the origin fails, 503 while the relay stops or when no connection is free in
   * time, 504 when the origin is too slow. An origin that cannot be reached has seen nothing of the request, so `another` is
   * asked for one that has not been tried. Where the destination is an answer, that is it, or one of the first two.
   */
  request(request: IncomingMessage, response: ServerResponse, destination: Destination): void {
    const target = targetOf(request);
    if (typeof destination === 'number') this.reply(response, destination);
    else if (target === undefined) this.reply(response, 400);
    // Node's parser takes HTTP/0.9 and 2.0 as well, written in the form of 1.1.
    else if (request.httpVersionMajor !== 1) this.reply(response, 505);
    else if ('status' in destination) answer(response, destination, this.context);
    // RFC 9112 section 6.1: a coding that the relay cannot undo must not lose its name on the way.
    else if (!isChunkedOrPlain(request)) this.reply(response, 501);
    // RFC 9110 section 9.3.7: this asks the server that the client talks to whether it is there.
    else if (target.path === '*') this.reply(response, 200);
    else if (this.context.state.closing) this.reply(response, 503);
    else new Exchange(request, response, destination, target, this.context).start();
  }

  /**
   * Passes an Upgrade on and, if the origin agrees, everything after it. `socket` and `head` are those of the
   * server's `upgrade` event; the relay owns the socket from here on. Anything but 101 is passed on as the last
   * response of the connection. An answer or a status in place of an origin is what the client gets.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, destination: Destination): void {
    if (!(socket instanceof Socket)) {
      // Node's types allow more than its servers ever hand out.
      socket.destroy();
      return;
    }
    const tunnel = new Tunnel(request, socket, this.context);
    const target = targetOf(request);
    if (target === undefined || target.path === '*') tunnel.reply(400);
    else if (this.context.state.closing) tunnel.reply(503);
    else if (typeof destination === 'number') tunnel.reply(destination);
    else if ('status' in destination) tunnel.answer(destination);
    else tunnel.open(head, destination, target);
  }

  /** Answers in the relay's own name: one line of text, for 503 with `Retry-After: 1`. */
  reply(response: ServerResponse, status: number): void {
    reply(response, status, this.context);
  }

  /** Takes no new requests, resolves when the running ones and the tunnels have ended. A caller in a hurry adds destroy(). */
  async close(): Promise<void> {
    this.context.state.closing = true;
    await this.context.running.idle();
    await this.context.origins.close();
  }

  /** Ends everything at once: requests without an answer get 503, all others and the tunnels are broken off. */
  async destroy(): Promise<void> {
    this.context.state.closing = true;
    this.context.running.abortAll();
    await this.context.origins.destroy();
  }
}

function isChunkedOrPlain(request: IncomingMessage): boolean {
  const coding = request.headers['transfer-encoding'];
  return coding === undefined || coding.trim().toLowerCase() === 'chunked';
}
