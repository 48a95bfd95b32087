/**
 * Live connections on their way from this agent to its successor, a process of the same host, which gets their sockets as they
 * are. Each goes as soon as it can be taken out of the hands of who serves it: between two requests, or when its application
 * has let go of it. Those that never can stay here until they end.
 *
 * Unlike one that is handed back it need not rest before: no packet is dropped on the way, and what comes meanwhile waits in the
 * socket's queue. Until the successor has got it, it can be put back.
 */
import type { Socket } from 'node:net';
import { KernelError } from '../kernel/errors';
import { socketToSend } from '../kernel/node-socket';
import type { LiveConnection } from './live-connections';
import type { Served } from './rules';

/** How often it is looked who can go; the ends of responses tell of most. */
const SWEEP_MS = 20;
/** How many are looked at in a sweep: some never go. */
const MOST_LOOKS = 256;
/** How many wait for the successor to take them, one after the other, while their clients may wait for an answer. */
export const MOST_SENDING = 8;
/** Before an application that could not let go of a connection is asked again. */
const RETRY_MS = 1000;

/** A connection that nobody serves: what its next one has to know of it. */
export interface TakenOut {
  readonly raw: boolean;
  readonly judged: boolean;
  readonly served?: Served | undefined;
  /** What was read from it and nobody has seen. */
  readonly held: Buffer;
  /** The application's. */
  readonly state?: Buffer | undefined;
  /** The undo. */
  readonly putBack: () => void;
}

export interface PassingOptions {
  readonly live: Iterable<LiveConnection>;
  /** Undefined where a connection cannot go now, and nothing has happened. */
  readonly takeOut: (connection: LiveConnection) => TakenOut | undefined | Promise<TakenOut | undefined>;
  /** Passes a connection on; resolves when the successor has got it, with false where that is gone. */
  readonly send: (connection: LiveConnection, taken: TakenOut, socket: Socket) => Promise<boolean>;
  /** It lives elsewhere from here on, without an end that anybody has to be told of. */
  readonly forget: (connection: LiveConnection) => void;
  readonly failed: (connection: LiveConnection, cause: unknown) => void;
}

export class Passing {
  /** Whose applications have been asked. */
  readonly #asked = new WeakSet<LiveConnection>();
  readonly #onTheirWay = new Set<LiveConnection>();
  #passed = 0;
  #stopped = false;
  #round: Iterator<LiveConnection>;
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: PassingOptions) {
    this.#round = options.live[Symbol.iterator]();
    this.#goOn();
    this.#plan();
  }

  /** How many have been passed on. */
  get passed(): number {
    return this.#passed;
  }

  /** A response on a connection has come to its end. */
  responded(connection: LiveConnection): void {
    if (!this.#stopped && this.#onTheirWay.size < MOST_SENDING) this.#try(connection);
  }

  /** Those that are here stay. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #plan(): void {
    this.#timer = setTimeout(() => {
      this.#goOn();
      this.#plan();
    }, SWEEP_MS).unref();
  }

  #goOn(): void {
    for (let look = 0; look < MOST_LOOKS && this.#onTheirWay.size < MOST_SENDING && !this.#stopped; look++) {
      const next = this.#round.next();
      if (next.done === true) {
        this.#round = this.options.live[Symbol.iterator]();
        return;
      }
      this.#try(next.value);
    }
  }

  #try(connection: LiveConnection): void {
    if (connection.socket.destroyed || this.#asked.has(connection) || this.#onTheirWay.has(connection))
      return;
    const taken = this.options.takeOut(connection);
    if (taken instanceof Promise) void this.#tryLater(connection, taken);
    else if (taken !== undefined) this.#send(connection, taken);
  }

  /** An application takes its time. */
  async #tryLater(connection: LiveConnection, taking: Promise<TakenOut | undefined>): Promise<void> {
    this.#asked.add(connection);
    const taken = await taking;
    if (taken !== undefined && this.#stopped) this.#putBack(connection, taken);
    else if (taken !== undefined) this.#send(connection, taken);
    else setTimeout(() => this.#asked.delete(connection), RETRY_MS).unref();
  }

  #send(connection: LiveConnection, taken: TakenOut): void {
    let socket: Socket;
    try {
      socket = socketToSend(connection.socket);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      this.options.failed(connection, error.message);
      this.#putBack(connection, taken);
      return;
    }
    this.#onTheirWay.add(connection);
    void this.options.send(connection, taken, socket).then((passed) => {
      this.#onTheirWay.delete(connection);
      if (!passed) {
        // Nobody will get any.
        this.stop();
        this.#putBack(connection, taken);
        return;
      }
      this.#passed += 1;
      // One of two descriptors: nothing is sent when it is closed.
      this.options.forget(connection);
      connection.socket.destroy();
      this.#goOn();
    });
  }

  #putBack(connection: LiveConnection, taken: TakenOut): void {
    this.#asked.delete(connection);
    if (!connection.socket.destroyed) taken.putBack();
  }
}
