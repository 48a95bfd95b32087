/**
 * Accepts connections of an accepting thread's listeners and waits until each one's head is complete.
 *
 * The head is peeked: the bytes stay in the receive queue and travel with the connection. Nearly every client's head
 * is there when its connection is accepted (TCP_DEFER_ACCEPT); the others are watched edge-triggered.
 */
import { EAGAIN, EINTR, errnoName, EXHAUSTED } from '../kernel/errors';
import { flowClientFromSockaddr, FLOW_BYTES, flowVipFromSockaddr, SOCKADDR_BYTES } from '../kernel/flow';
import { close, recv } from '../kernel/libc';
import { Epoll, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLRDHUP, type Unwatch } from '../kernel/poll';
import { accept, localAddress, MSG_DONTWAIT, MSG_PEEK } from '../kernel/socket';
import { Http1Peek } from '../peek/http1';
import { Connection } from './connection';
import { Deadlines } from './deadlines';
import { deferSeconds, type OpenListener } from './listeners';

/** Connections accepted per listener and turn: the answers of agents to the last burst are not kept waiting longer. */
const BURST = 64;
/** How long to wait before accepting again when descriptors or memory have run out. */
const EXHAUSTED_PAUSE_MS = 100;
const CLOSING = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

export interface AcceptorEvents {
  accepted(listener: string): void;
  /** The head is complete; the connection is the callee's. */
  head(connection: Connection, head: Http1Peek, now: number): void;
  /** The head is malformed or too late; the connection is the callee's. */
  refused(connection: Connection, status: number, reason: string): void;
  /** The client said nothing in time: the connection is closed already. */
  silent(): void;
  /** Descriptors or memory ran out: accepting pauses for a moment. */
  exhausted(cause: string): void;
}

interface Listener {
  readonly name: string;
  readonly fd: number;
  /** A flow with the VIP's half filled in, or undefined where the listener is bound to every address. */
  readonly template: Buffer | undefined;
}

export interface AcceptorOptions {
  readonly headBytes: number;
  readonly headMs: number;
  /** Connections that may be here at once. */
  readonly connections: number;
}

export class Acceptor {
  readonly #epoll = new Epoll();
  readonly #listeners = new Map<number, Listener>();
  readonly #waiting = new Map<number, Connection>();
  readonly #peer = Buffer.alloc(SOCKADDR_BYTES);
  readonly #own = Buffer.alloc(SOCKADDR_BYTES);
  readonly #bytes: Buffer;
  readonly #reader: Http1Peek;
  readonly #deadlines: Deadlines<Connection>;
  #unwatch: Unwatch | undefined;
  #paused = false;
  #resumeTimer: NodeJS.Timeout | undefined;
  /** Connections that somebody in this thread owns. */
  #active = 0;

  constructor(
    private readonly options: AcceptorOptions,
    private readonly events: AcceptorEvents,
  ) {
    this.#bytes = Buffer.allocUnsafeSlow(options.headBytes);
    this.#reader = new Http1Peek(options.headBytes);
    const patience = options.headMs - 1000 * deferSeconds(options.headMs);
    this.#deadlines = new Deadlines(patience, (connection) => this.#headLate(connection));
  }

  /** Accepts from these listening sockets. */
  start(listeners: readonly OpenListener[]): void {
    for (const { name, host, fd } of listeners) {
      const everyAddress = host === '0.0.0.0' || host === '::';
      const template = everyAddress ? undefined : vipHalf(fd);
      this.#listeners.set(fd, { name, fd, template });
      this.#epoll.add(fd, EPOLLIN);
    }
    this.#unwatch = this.#epoll.watch(() => {
      this.#epoll.drain(this.#ready);
    });
  }

  /** Connections in this thread's hands: waiting for a head, in a handoff, proxied or being refused. */
  get active(): number {
    return this.#active;
  }

  /** Whoever took a connection over says here that it is no longer in this thread. */
  ended(): void {
    this.#active -= 1;
    if (this.#paused && this.#resumeTimer === undefined && this.#active < this.options.connections)
      this.#resume();
  }

  /**
   * Takes no more connections: sockets in `keep` are somebody else's from now on, from the others it accepts what the
   * kernel has completed handshakes for and closes them. Waiting connections stay.
   */
  stopListening(keep: ReadonlySet<number>): void {
    clearTimeout(this.#resumeTimer);
    for (const listener of this.#listeners.values()) {
      this.#epoll.remove(listener.fd);
      if (keep.has(listener.fd)) continue;
      while (this.#acceptBurst(listener) === BURST);
      close(listener.fd);
    }
    this.#listeners.clear();
  }

  /** Gives everything up: connections that wait for their head are closed. */
  stop(): void {
    this.#deadlines.stop();
    for (const connection of this.#waiting.values()) close(connection.fd);
    this.#waiting.clear();
    this.#unwatch?.();
    this.#epoll.close();
  }

  readonly #ready = (fd: number, events: number): void => {
    const listener = this.#listeners.get(fd);
    if (listener !== undefined) {
      this.#acceptBurst(listener);
      return;
    }
    const connection = this.#waiting.get(fd);
    if (connection !== undefined) this.#inspect(connection, (events & CLOSING) !== 0);
  };

  /** Returns how many were accepted. */
  #acceptBurst(listener: Listener): number {
    for (let count = 0; count < BURST; count++) {
      if (this.#active >= this.options.connections) {
        this.#pause();
        return count;
      }
      const fd = accept(listener.fd, this.#peer);
      if (fd >= 0) {
        this.#accepted(listener, fd);
      } else if (fd === -EAGAIN) {
        return count;
      } else if (EXHAUSTED.has(-fd)) {
        this.#exhausted(errnoName(-fd));
        return count;
      }
      // Any other error is that of one connection, which accept(2) passes on; the next one may be fine.
    }
    return BURST;
  }

  #accepted(listener: Listener, fd: number): void {
    this.#active += 1;
    this.events.accepted(listener.name);
    const flow = Buffer.allocUnsafe(FLOW_BYTES);
    if (listener.template !== undefined) {
      listener.template.copy(flow);
    } else {
      localAddress(fd, this.#own);
      flowVipFromSockaddr(this.#own, flow);
    }
    flowClientFromSockaddr(this.#peer, flow);
    this.#inspect(new Connection(fd, flow), false);
  }

  #inspect(connection: Connection, closing: boolean): void {
    const length = recv(connection.fd, this.#bytes, this.options.headBytes, MSG_PEEK | MSG_DONTWAIT);
    if (length > 0) {
      connection.spoke = true;
      const outcome = this.#reader.read(this.#bytes, length);
      if (outcome === 'head') {
        this.#forget(connection);
        this.events.head(connection, this.#reader, performance.now());
        return;
      }
      if (outcome === 'malformed') {
        this.#forget(connection);
        this.events.refused(connection, this.#reader.status, this.#reader.reason);
        return;
      }
    }
    if (closing || length === 0 || (length < 0 && length !== -EAGAIN && length !== -EINTR)) {
      this.#drop(connection);
    } else if (!connection.watched) {
      this.#waitFor(connection);
    }
  }

  #waitFor(connection: Connection): void {
    try {
      this.#epoll.add(connection.fd, EPOLLIN | EPOLLRDHUP | EPOLLET);
    } catch (error) {
      this.#drop(connection);
      this.#exhausted(String(error));
      return;
    }
    connection.watched = true;
    this.#waiting.set(connection.fd, connection);
    this.#deadlines.set(connection);
  }

  /** The connection goes to somebody else. */
  #forget(connection: Connection): void {
    if (!connection.watched) return;
    connection.watched = false;
    this.#deadlines.clear(connection);
    this.#waiting.delete(connection.fd);
    this.#epoll.remove(connection.fd);
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    close(connection.fd);
    this.ended();
  }

  #headLate(connection: Connection): void {
    if (!connection.spoke) {
      this.#drop(connection);
      this.events.silent();
      return;
    }
    this.#forget(connection);
    this.events.refused(connection, 408, 'timeout');
  }

  /** Stops accepting: until a connection ends, or for `ms`. */
  #pause(ms?: number): void {
    if (ms !== undefined) this.#resumeTimer ??= setTimeout(() => this.#resume(), ms);
    if (this.#paused) return;
    this.#paused = true;
    for (const fd of this.#listeners.keys()) this.#epoll.remove(fd);
  }

  #exhausted(cause: string): void {
    this.events.exhausted(cause);
    this.#pause(EXHAUSTED_PAUSE_MS);
  }

  #resume(): void {
    this.#resumeTimer = undefined;
    this.#paused = false;
    try {
      for (const fd of this.#listeners.keys()) this.#epoll.add(fd, EPOLLIN);
    } catch (error) {
      this.#exhausted(String(error));
    }
  }
}

/** A flow with the VIP's half filled in from a listening socket's address. */
function vipHalf(listener: number): Buffer {
  const flow = Buffer.alloc(FLOW_BYTES);
  const own = Buffer.alloc(SOCKADDR_BYTES);
  localAddress(listener, own);
  flowVipFromSockaddr(own, flow);
  return flow;
}
