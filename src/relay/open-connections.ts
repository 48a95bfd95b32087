import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { isBetweenRequests } from '../kernel/node-parser';
import { descriptorOf } from '../kernel/node-socket';
import { unacknowledgedBytes, unreadBytes } from '../kernel/socket';
import { breakOff } from './finish';

/** How often a server that is drained is looked at: all of its connections are. */
const DRAIN_POLL_MS = 20;

/**
 * The connections of an http.Server, and ways to end them that cut no answer short.
 *
 * Node's closeIdleConnections() takes a connection for idle as soon as its answer is ended, however much of it is still
 * unwritten: of 20 MB that a slow client fetched 4 arrived, and then an orderly end. Nor is what has been written safe: a
 * closed socket answers the client's next octet with RST, and the kernel throws away what it has not delivered. So
 * nothing is idle here before its client has acknowledged all of its answer.
 */
export class OpenConnections {
  readonly #sockets = new Set<Socket>();

  /**
   * @param closable which of the server's connections are meant; the others are left alone.
   * @param busy which of them are in use, although the server takes them for idle.
   */
  constructor(
    private readonly server: Server,
    private readonly closable: (socket: Socket) => boolean = () => true,
    private readonly busy: (socket: Socket) => boolean = () => false,
  ) {
    server.on('connection', this.#opened);
  }

  /** How many there are that may be closed. */
  get size(): number {
    return this.#closable().length;
  }

  /** Closes those that wait for their next request. */
  closeIdle(): void {
    this.#sparing(this.#inUse, () => this.server.closeIdleConnections());
    // Node takes them for busy until there has been a request.
    for (const socket of this.#closable()) if (isSilent(socket) && !this.busy(socket)) socket.destroy();
  }

  /** No more connections than there are, for a server that listens. */
  stopListening(): void {
    // Node closes idle connections here as well.
    this.#sparing(this.#inUse, () => this.server.close());
  }

  /** Closes connections as they become idle while there are `busy` ones, until `deadline` (performance.now()), then all. */
  async drain(deadline: number, busy = (): boolean => this.size > 0): Promise<void> {
    await this.settle(() => busy() && performance.now() < deadline);
    this.end();
  }

  /** Closes connections as they become idle, for as long as `goesOn` says. */
  async settle(goesOn: () => boolean): Promise<void> {
    this.closeIdle();
    while (goesOn()) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_POLL_MS));
      this.closeIdle();
    }
  }

  /**
   * Ends all that are left. A whole answer goes on to its client without us; one that is under way is broken off, so
   * that no client takes a part of it for the whole.
   */
  end(): void {
    this.#sparing(
      (socket) => unwritten(socket) || this.busy(socket),
      () => this.server.closeIdleConnections(),
    );
    for (const socket of this.#closable()) {
      if (socket.writableFinished) socket.destroy();
      else breakOff(socket);
    }
  }

  /** Watches the server no longer. */
  detach(): void {
    this.server.off('connection', this.#opened);
  }

  readonly #inUse = (socket: Socket): boolean => undelivered(socket) || this.busy(socket);

  #closable(): Socket[] {
    return [...this.#sockets].filter(this.closable);
  }

  /** Has the server close connections, but for those that may not be closed or that `spared` says. */
  #sparing(spared: (socket: Socket) => boolean, close: () => void): void {
    const all = [...this.#sockets].filter((socket) => !this.closable(socket) || spared(socket));
    // The server keeps its list to itself and calls destroy() on each of it, here and now. Somebody may guard one already.
    const guards = all.map((socket) => Object.getOwnPropertyDescriptor(socket, 'destroy'));
    for (const socket of all) socket.destroy = () => socket;
    try {
      close();
    } finally {
      all.forEach((socket, index) => {
        const guard = guards[index];
        if (guard === undefined) Reflect.deleteProperty(socket, 'destroy');
        else Object.defineProperty(socket, 'destroy', guard);
      });
    }
  }

  readonly #opened = (socket: Socket): void => {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  };
}

/** Some of what was written to it is still in this process. */
function unwritten(socket: Socket): boolean {
  return socket.writableLength > 0;
}

/** Some of what was written to it has not been acknowledged. */
function undelivered(socket: Socket): boolean {
  if (unwritten(socket)) return true;
  const fd = descriptorOf(socket);
  return fd !== undefined && unacknowledgedBytes(fd) > 0;
}

/** Nothing has come on it since it was given to the server, and nothing waits to be read. */
function isSilent(socket: Socket): boolean {
  const fd = descriptorOf(socket);
  return socket.bytesRead === 0 && isBetweenRequests(socket) && fd !== undefined && unreadBytes(fd) === 0;
}
