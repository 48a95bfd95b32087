/**
 * Accepts connections of an accepting thread's listeners and waits until each one's head is complete.
 *
 * The head is peeked: the bytes stay in the receive queue and travel with the connection. Nearly every client's head
 * is there when its connection is accepted (TCP_DEFER_ACCEPT); the others are watched edge-triggered. Connections of listeners
 * without heads are given away at once.
 */
import { EAGAIN, EINTR, errnoName, EXHAUSTED, KernelError, OUT_OF_FILES } from '../kernel/errors';
import { flowClientFromSockaddr, FLOW_BYTES, flowVipFromSockaddr, SOCKADDR_BYTES } from '../kernel/flow';
import { close, recv } from '../kernel/libc';
import { Epoll, EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLRDHUP, type Unwatch } from '../kernel/poll';
import { accept, localAddress, MSG_DONTWAIT, MSG_PEEK, setLinger } from '../kernel/socket';
import { Http1Peek } from '../peek/http1';
import { worthReading } from '../peek/worth-reading';
import type { DumpBuffer } from '../repair/dump';
import { HEADER_BYTES } from '../repair/layout';
import type { Capacity } from './capacity';
import { Connection } from './connection';
import type { ConnectionCounts } from './connection-counts';
import { Deadlines } from './deadlines';
import type { Resource } from './exhaustion';
import { LimitsOfListener, statusOf, type LimitReason } from './listener-limits';
import { deferSeconds, listen, type OpenListener } from './listeners';

/** Connections accepted per listener and turn: the answers of agents to the last burst are not kept waiting longer. */
const BURST = 64;
/** How long to wait before accepting again when descriptors or memory have run out and nothing here can make room. */
const EXHAUSTED_PAUSE_MS = 100;
/** Tags are 32 bits wide; by the time that one comes again its last event is long past. */
const MOST_TAGS = 0xffffffff;
const CLOSING = EPOLLRDHUP | EPOLLHUP | EPOLLERR;

export interface AcceptorEvents {
  /** Descriptors of this thread that connections in its hands take beside their own, or took before they left. */
  otherFiles(): number;
  accepted(listener: string): void;
  /** The head is complete, read from the first `received` bytes; the connection is the callee's. */
  head(connection: Connection, head: Http1Peek, received: number, now: number): void;
  /** A connection without a head has come; it is the callee's. */
  raw(connection: Connection, now: number): void;
  /** The head is malformed or too late, or the client has too much; the connection is the callee's. */
  refused(connection: Connection, status: number, reason: string): void;
  /** The client said nothing in time: the connection is closed already. */
  silent(): void;
  /** A connection came, or waits to be accepted, for which there is no room. */
  exhausted(resource: Resource, cause: string): void;
  /** A connection that waited for its head was closed to make room. */
  evicted(): void;
  /** There is no room and nobody waits for a head: whoever has idle connections closes them. */
  crowded(): void;
}

interface Listener {
  readonly name: string;
  readonly address: string;
  readonly fd: number;
  /** A flow with the VIP's half filled in, or undefined where the listener is bound to every address. */
  readonly template: Buffer | undefined;
  readonly judged: boolean;
  readonly raw: boolean;
  readonly limits: LimitsOfListener | undefined;
}

export interface AcceptorOptions {
  readonly headBytes: number;
  readonly headMs: number;
  /** What this thread has room for. */
  readonly capacity: Capacity;
  /** Where there are limits to what clients may have, for so many `threads` together. */
  readonly counts: ConnectionCounts | undefined;
  readonly threads: number;
}

export class Acceptor {
  readonly #epoll = new Epoll();
  readonly #listeners = new Map<number, Listener>();
  readonly #waiting = new Map<number, Connection>();
  readonly #peer = Buffer.alloc(SOCKADDR_BYTES);
  readonly #own = Buffer.alloc(SOCKADDR_BYTES);
  readonly #reader: Http1Peek;
  readonly #deadlines: Deadlines<Connection>;
  #unwatch: Unwatch | undefined;
  #paused = false;
  #lastTag = 0;
  #resumeTimer: NodeJS.Timeout | undefined;
  /** Connections that somebody in this thread owns. */
  #active = 0;

  constructor(
    private readonly options: AcceptorOptions,
    /** Where heads are peeked to: what is dumped of their connections is complete there. */
    private readonly dumped: DumpBuffer,
    private readonly events: AcceptorEvents,
  ) {
    dumped.reserve(HEADER_BYTES + options.headBytes);
    this.#reader = new Http1Peek(options.headBytes);
    const patience = options.headMs - 1000 * deferSeconds(options.headMs);
    this.#deadlines = new Deadlines(patience, (connection) => this.#headLate(connection));
  }

  /** Accepts from these listening sockets, whose descriptors are the acceptor's from here on. */
  start(listeners: readonly OpenListener[]): void {
    for (const listener of listeners) {
      const { name, host, address, fd, judged, raw } = listener;
      const { counts, threads } = this.options;
      const limits = listener.limits && counts && new LimitsOfListener(listener.limits, counts, threads);
      const everyAddress = host === '0.0.0.0' || host === '::';
      const template = everyAddress ? undefined : vipHalf(fd);
      listen(listener);
      this.#listeners.set(fd, { name, address, fd, template, judged, raw, limits });
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

  /** Connections that wait for their head. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whoever took a connection over says here that it has ended. */
  ended(connection: Connection): void {
    this.#uncount(connection);
    this.#gone();
  }

  /** It is an agent's. */
  handedOff({ flow }: Connection): void {
    this.options.counts?.handed(flow);
    this.#gone();
  }

  #gone(): void {
    this.#active -= 1;
    if (this.#paused && this.#resumeTimer === undefined && this.#active < this.options.capacity.connections)
      this.#resume();
  }

  /**
   * Takes no more connections. From sockets of addresses in `last` it accepts what the kernel has completed handshakes for:
   * nobody else will. The queues of the others are somebody else's. Waiting connections stay.
   */
  stopListening(last: ReadonlySet<string>): void {
    clearTimeout(this.#resumeTimer);
    for (const listener of this.#listeners.values()) {
      this.#epoll.remove(listener.fd);
      if (last.has(listener.address)) while (this.#acceptBurst(listener) === BURST);
      close(listener.fd);
    }
    this.#listeners.clear();
  }

  /** Gives everything up: connections that wait for their head are closed. */
  stop(): void {
    this.#deadlines.stop();
    for (const connection of this.#waiting.values()) {
      this.#uncount(connection);
      close(connection.fd);
    }
    this.#waiting.clear();
    this.#unwatch?.();
    this.#epoll.close();
  }

  readonly #ready = (fd: number, events: number, tag: number): void => {
    const listener = this.#listeners.get(fd);
    if (listener !== undefined) {
      this.#acceptBurst(listener);
      return;
    }
    const connection = this.#waiting.get(fd);
    // An event that was collected before its connection made room for another one, which now has its descriptor.
    if (connection?.watched !== tag) return;
    this.#inspect(connection, (events & CLOSING) !== 0);
  };

  /** Returns how many were accepted. */
  #acceptBurst(listener: Listener): number {
    for (let count = 0; count < BURST; count++) {
      const fd = accept(listener.fd, this.#peer);
      if (fd >= 0) {
        this.#accepted(listener, fd);
        if (!this.#roomLeft()) return count + 1;
      } else if (fd === -EAGAIN) {
        return count;
      } else if (EXHAUSTED.has(-fd) && !this.#exhausted(-fd)) {
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
    this.options.counts?.accepted(flow);
    const { name, judged, raw } = listener;
    const connection = new Connection(fd, flow, judged, name, raw);
    const now = performance.now();
    const reason = listener.limits?.exceededBy(flow, now);
    if (reason !== undefined) this.#refuse(connection, reason);
    else if (raw) this.events.raw(connection, now);
    else this.#inspect(connection, false);
  }

  /** Its client may take a while to close: until then it must not count, or one client could use up what all have. */
  #refuse(connection: Connection, reason: LimitReason): void {
    this.#uncount(connection);
    this.events.refused(connection, statusOf(reason), reason);
  }

  #uncount(connection: Connection): void {
    if (connection.counted) this.options.counts?.left(connection.flow);
    connection.counted = false;
  }

  /** Whether another connection may come; where there was no room for the last one, it has been made. */
  #roomLeft(): boolean {
    const { connections, files } = this.options.capacity;
    if (this.#active > connections) {
      if (this.#makeRoom('connections', 'limit')) return true;
      this.#pause();
      return false;
    }
    if (this.#files <= files || this.#makeRoom('files', 'limit')) return true;
    this.#pause(EXHAUSTED_PAUSE_MS);
    return false;
  }

  get #files(): number {
    return this.#active + this.events.otherFiles();
  }

  /**
   * Closes the connection that has waited longest for its head; false when none does. With a RST: a client that says
   * nothing may well not answer a FIN either, and its half-closed connection would cost the kernel memory for a minute.
   */
  #makeRoom(resource: Resource, cause: string): boolean {
    this.events.exhausted(resource, cause);
    const oldest = this.#deadlines.takeOldest();
    if (oldest === undefined) {
      this.events.crowded();
      return false;
    }
    setLinger(oldest.fd, 0);
    this.#drop(oldest);
    this.events.evicted();
    return true;
  }

  #inspect(connection: Connection, closing: boolean): void {
    const length = this.#peek(connection);
    if (length > 0 && (closing || this.#worthReading(connection.read, length))) {
      if (this.#decided(connection, length)) return;
    }
    if (closing || length === 0 || (length < 0 && length !== -EAGAIN && length !== -EINTR)) {
      this.#drop(connection);
    } else if (connection.watched === 0) {
      this.#waitFor(connection);
    }
  }

  /** Bytes that have arrived, at most as many as a head may have; 0 at their end, or `-errno`. */
  #peek(connection: Connection): number {
    return recv(connection.fd, this.dumped.queues, this.options.headBytes, MSG_PEEK | MSG_DONTWAIT);
  }

  /** Reads the peeked bytes; true when the head is complete or malformed, and the connection somebody else's. */
  #decided(connection: Connection, length: number): boolean {
    connection.read = length;
    const outcome = this.#reader.read(this.dumped.queues, length);
    if (outcome === 'more') return false;
    this.#forget(connection);
    if (outcome === 'head') this.events.head(connection, this.#reader, length, performance.now());
    else this.events.refused(connection, this.#reader.status, this.#reader.reason);
    return true;
  }

  #worthReading(read: number, length: number): boolean {
    return length === this.options.headBytes || worthReading(this.dumped.queues, read, length);
  }

  #waitFor(connection: Connection): void {
    this.#lastTag = (this.#lastTag % MOST_TAGS) + 1;
    try {
      this.#epoll.add(connection.fd, EPOLLIN | EPOLLRDHUP | EPOLLET, this.#lastTag);
    } catch (error) {
      this.#drop(connection);
      this.#exhausted(errnoOf(error));
      return;
    }
    connection.watched = this.#lastTag;
    this.#waiting.set(connection.fd, connection);
    this.#deadlines.set(connection);
  }

  /** The connection goes to somebody else. */
  #forget(connection: Connection): void {
    if (connection.watched === 0) return;
    connection.watched = 0;
    this.#deadlines.clear(connection);
    this.#waiting.delete(connection.fd);
    this.#epoll.remove(connection.fd);
  }

  #drop(connection: Connection): void {
    this.#forget(connection);
    close(connection.fd);
    this.ended(connection);
  }

  #headLate(connection: Connection): void {
    if (connection.read === 0) {
      this.#drop(connection);
      this.events.silent();
      return;
    }
    const length = this.#peek(connection);
    if (length > 0 && this.#decided(connection, length)) return;
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

  /** The kernel refused: `errno` says what it has run out of. True when room was made. */
  #exhausted(errno: number): boolean {
    const resource = OUT_OF_FILES.has(errno) ? 'files' : 'memory';
    if (this.#makeRoom(resource, errnoName(errno))) return true;
    this.#pause(EXHAUSTED_PAUSE_MS);
    return false;
  }

  #resume(): void {
    this.#resumeTimer = undefined;
    if (this.#files >= this.options.capacity.files) {
      this.#pause(EXHAUSTED_PAUSE_MS);
      return;
    }
    this.#paused = false;
    try {
      for (const fd of this.#listeners.keys()) this.#epoll.add(fd, EPOLLIN);
    } catch (error) {
      this.#exhausted(errnoOf(error));
      this.#pause(EXHAUSTED_PAUSE_MS);
    }
  }
}

/** Of a failed system call; anything else is a defect and goes on. */
function errnoOf(error: unknown): number {
  if (error instanceof KernelError) return error.errno;
  throw error;
}

/** A flow with the VIP's half filled in from a listening socket's address. */
function vipHalf(listener: number): Buffer {
  const flow = Buffer.alloc(FLOW_BYTES);
  const own = Buffer.alloc(SOCKADDR_BYTES);
  localAddress(listener, own);
  flowVipFromSockaddr(own, flow);
  return flow;
}
