import { KernelError } from '../kernel/errors';
import { isUndelivered, type KnownSocket } from '../kernel/sock-diag';
import type { HeldRecord } from './estate';

/** After this time most clients have acknowledged the end of what they were sent. */
const FIRST_LOOK_MS = 200;
/** The others are slow, have closed their window, or are on a bad network. */
const NEXT_LOOK_MS = 1_000;
/** How often it is seen who is due, and for how many at once: a look costs two system calls. */
const SWEEP_MS = 50;
const MOST_LOOKS = 500;

/** This host's socket with the addresses of a flow, if there is one (SockDiag.find). */
export type FindSocket = (flow: Buffer) => Omit<KnownSocket, 'cookie'> | undefined;

/**
 * Connections that are closed here and whose clients have not acknowledged everything: the kernel goes on sending, for minutes
 * where a client is gone or does not read, and needs the client's packets for that. A front that heard of the end at once
 * would let go of the flow as soon as the client has said nothing for a while, and answer its next packet with RST.
 */
export class Undelivered implements Iterable<HeldRecord> {
  /** By when they are looked at, earliest first. */
  readonly #fresh = new Map<HeldRecord, number>();
  readonly #slow = new Map<HeldRecord, number>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param isLive whether a flow has a connection again: then the client has given the old one up.
   * @param delivered called once for each connection, when nothing of it is left to deliver.
   */
  constructor(
    private readonly find: FindSocket,
    private readonly isLive: (flow: Buffer) => boolean,
    private readonly delivered: (connection: HeldRecord) => void,
  ) {}

  /** Takes a connection whose socket has just been closed. */
  add(connection: HeldRecord): void {
    this.#fresh.set(connection, performance.now() + FIRST_LOOK_MS);
    this.#plan();
  }

  get size(): number {
    return this.#fresh.size + this.#slow.size;
  }

  *[Symbol.iterator](): Iterator<HeldRecord> {
    yield* this.#fresh.keys();
    yield* this.#slow.keys();
  }

  /** Looks once more at all of them, and forgets those that have still something to deliver. */
  stop(): void {
    clearTimeout(this.#timer);
    for (const connection of this) if (this.#isDelivered(connection)) this.delivered(connection);
    this.#fresh.clear();
    this.#slow.clear();
  }

  #plan(): void {
    this.#timer ??= setTimeout(this.#sweep, SWEEP_MS).unref();
  }

  readonly #sweep = (): void => {
    this.#timer = undefined;
    const now = performance.now();
    let looks = 0;
    for (const queue of [this.#fresh, this.#slow]) {
      for (const [connection, due] of queue) {
        if (due > now || looks++ >= MOST_LOOKS) break;
        queue.delete(connection);
        if (this.#isDelivered(connection)) this.delivered(connection);
        else this.#slow.set(connection, now + NEXT_LOOK_MS);
      }
    }
    if (this.size > 0) this.#plan();
  };

  #isDelivered({ flow }: HeldRecord): boolean {
    if (this.isLive(flow)) return true;
    try {
      const socket = this.find(flow);
      return socket === undefined || !isUndelivered(socket);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Nobody can say, so the front's linger has to do.
      return true;
    }
  }
}
