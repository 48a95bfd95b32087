import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/** More than any client that pipelines has under way; each waiting request costs a few kilobytes. */
const MAX_WAITING = 100;

interface Turn {
  readonly response: ServerResponse;
  readonly start: () => void;
}

/**
 * One request at a time on each connection. Node hands out pipelined requests all at once, but they may be served
 * in parallel only where all of them are safe (RFC 9112 section 9.3.2), and a single client could fill the origin's
 * connections. A connection that piles up too many is dropped.
 */
export class Turns {
  private readonly waiting = new WeakMap<Duplex, Turn[]>();

  /** Calls `start` when every earlier response on the same connection is finished, or never if it breaks off. */
  take(response: ServerResponse, start: () => void): void {
    const { socket } = response.req;
    const waiting = this.waiting.get(socket);
    if (socket.destroyed) return;
    if (waiting === undefined) {
      this.waiting.set(socket, []);
      this.run(socket, { response, start });
    } else if (waiting.length < MAX_WAITING) {
      waiting.push({ response, start });
    } else {
      socket.destroy();
    }
  }

  /** Whether a response is under way on this connection. */
  isBusy(socket: Duplex): boolean {
    return this.waiting.has(socket);
  }

  private run(socket: Duplex, { response, start }: Turn): void {
    response.once('close', () => this.next(socket));
    start();
  }

  private next(socket: Duplex): void {
    const turn = this.waiting.get(socket)?.shift();
    if (turn === undefined || socket.destroyed) this.waiting.delete(socket);
    else this.run(socket, turn);
  }
}
