/**
 * Live connections that are to leave this agent: when it is drained, or a front asks for one.
 *
 *   leave      it waits until it is between two requests; its reading is stopped then
 *   resting    a place is reserved for it, and the first octets of its next request come in, and travel along; or none do for a
 *              moment
 *   on its way it is handed back (hand-backs.ts)
 *   stayed     it goes on here; where that may be different later, it tries again
 *
 * Moving it right behind a response would be wrong: the next request most often comes at once, and a packet that meets the
 * frozen connection costs its client 200 ms.
 */
import { isBetweenRequests } from '../kernel/node-parser';
import { descriptorOf, isDelivered, isWritten, startReading, stopReading } from '../kernel/node-socket';
import { Epoll, EPOLLIN, EPOLLRDHUP, type Unwatch } from '../kernel/poll';
import { sinceReceived, unreadBytes } from '../kernel/socket';
import type { KeepReason, Wish } from '../wire/hand-back';
import type { DepartureOutcomes, HandBacks, StayReason } from './hand-backs';
import type { LiveConnection } from './live-connections';

/**
 * How long a client has to be silent for its connection to be moved without a request. One that asks every now and then is moved
 * with its next request: what it sends while its connection is frozen comes 200 ms late, and that is as unlikely as it has been
 * silent for long.
 */
const REST_MS = 500;
/** How often it is looked who is between two requests; the ends of responses tell of most. */
const SWEEP_MS = 20;
/** How many wait for their next request in the kernel's hands at once. */
const MOST_RESTING = 512;
/** How many of these have a place reserved. */
const MOST_RESERVED = 128;
/**
 * How many are on their way at once. With more of them each takes longer, and the longer one is frozen the more likely its
 * client's next request meets that.
 */
const MOST_LEAVING = 8;
/** How many of those that wait are looked at in a sweep: some never go. */
const MOST_LOOKS = 256;
/** Before a connection that found nobody tries again. */
const RETRY_MS = 1000;
/** How long somebody waits for a connection that is busy. */
const PATIENCE_MS = 5000;

/** How a connection is taken out of its server's hands. */
export interface Movable {
  /** Of its snapshot (repair/layout.ts). */
  readonly flags: number;
  /**
   * Where it is between two requests: stops reading, and returns what was read and nobody has seen. Undefined elsewhere, and
   * nothing has happened.
   */
  takeOut(): Buffer | undefined;
  /** Has its server go on with it. */
  putBack(): void;
}

/** A connection that an http.Server reads from by itself. */
export class PlainMovable implements Movable {
  readonly flags = 0;

  constructor(private readonly connection: LiveConnection) {}

  takeOut(): Buffer | undefined {
    const { socket } = this.connection;
    if (socket.destroyed || socket.writableEnded || !isBetweenRequests(socket) || !isWritten(socket))
      return undefined;
    stopReading(socket);
    return NOTHING;
  }

  putBack(): void {
    startReading(this.connection.socket);
  }
}

const NOTHING = Buffer.alloc(0);

interface Leaving {
  readonly connection: LiveConnection;
  readonly wish: Wish;
  /** Where somebody waits for this very one: it is tried once. */
  readonly kept: ((reason: KeepReason) => void) | undefined;
  held: Buffer;
  /** performance.now(), before which it is not tried. */
  notBefore: number;
  /** Likewise, from which on the one who waits for it is told that it is busy. */
  readonly until: number;
  /** Likewise, when its client was last heard before it was taken out of its server's hands. */
  since: number;
  /** Whether a place is reserved for it, or looked for. */
  place: 'none' | 'asked' | 'reserved';
  /** It is on its way, or as soon as there is a place. */
  going: boolean;
  /** It is to stay after all; where it is on its way it may go all the same. */
  cancelled: boolean;
}

export class Departures {
  readonly #leaving = new Map<LiveConnection, Leaving>();
  /** Those of them that are busy, or not yet to be tried. */
  readonly #waiting = new Set<Leaving>();
  /** By descriptor. */
  readonly #resting = new Map<number, Leaving>();
  #onTheirWay = 0;
  /** That have a place, or one is looked for. */
  #reserved = 0;
  /** Of those that wait, the ones that have not been looked at in this round. */
  #round: Iterator<Leaving, undefined> = this.#waiting.values();
  /** Whose end will be heard of. */
  readonly #watched = new WeakSet<LiveConnection>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;
  #epoll: Epoll | undefined;
  #unwatch: Unwatch | undefined;

  /** @param movableOf undefined for connections that never move. */
  constructor(
    private readonly handBacks: HandBacks,
    private readonly movableOf: (connection: LiveConnection) => Movable | undefined,
  ) {}

  /** Connections that are to leave and have not yet. */
  get size(): number {
    return this.#leaving.size;
  }

  has(connection: LiveConnection): boolean {
    return this.#leaving.has(connection);
  }

  /** Has a connection leave as soon as it can. `kept` is called where it does not; without it, it tries again. */
  leave(connection: LiveConnection, wish: Wish, kept?: (reason: KeepReason) => void): void {
    const known = this.#leaving.has(connection);
    if (known || this.#stopped || this.movableOf(connection) === undefined) {
      kept?.(known ? 'busy' : 'upgraded');
      return;
    }
    const now = performance.now();
    const until = now + PATIENCE_MS;
    const leaving: Leaving = {
      connection,
      wish,
      kept,
      held: NOTHING,
      notBefore: 0,
      until,
      since: now,
      place: 'none',
      going: false,
      cancelled: false,
    };
    this.#leaving.set(connection, leaving);
    this.#waiting.add(leaving);
    if (!this.#watched.has(connection)) {
      this.#watched.add(connection);
      connection.socket.once('close', () => this.#closed(connection));
    }
    this.#plan();
    this.#try(leaving);
  }

  /** Those that were to leave for this reason stay; where one is on its way it may go all the same. */
  cancel(reason: Wish['reason']): void {
    for (const leaving of this.#leaving.values())
      if (leaving.wish.reason === reason) leaving.cancelled = true;
    for (const leaving of this.#waiting) if (leaving.cancelled) this.#forget(leaving);
    this.#wakeAll((leaving) => leaving.cancelled);
  }

  /** A response on a connection has come to its end. */
  responded(connection: LiveConnection): void {
    const leaving = this.#leaving.get(connection);
    if (leaving !== undefined && this.#waiting.has(leaving)) this.#try(leaving);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const leaving of this.#waiting) this.#forget(leaving);
    this.#wakeAll(() => true);
    this.#unwatch?.();
    this.#epoll?.close();
  }

  #wakeAll(which: (leaving: Leaving) => boolean): void {
    for (const [fd, leaving] of this.#resting) {
      if (!which(leaving)) continue;
      this.#wake(fd);
      this.#giveUpPlace(leaving);
      this.#forget(leaving);
      this.#putBack(leaving);
    }
  }

  #giveUpPlace(leaving: Leaving): void {
    if (leaving.place === 'none') return;
    this.#placeGone(leaving);
    this.handBacks.cancel(leaving.connection);
  }

  #placeGone(leaving: Leaving): void {
    if (leaving.place !== 'none') this.#reserved -= 1;
    leaving.place = 'none';
  }

  #forget(leaving: Leaving): void {
    this.#waiting.delete(leaving);
    if (this.#leaving.get(leaving.connection) === leaving) this.#leaving.delete(leaving.connection);
  }

  #closed(connection: LiveConnection): void {
    const leaving = this.#leaving.get(connection);
    if (leaving === undefined) return;
    for (const [fd, each] of this.#resting) if (each === leaving) this.#resting.delete(fd);
    this.#giveUpPlace(leaving);
    this.#arrived(leaving);
    this.#forget(leaving);
  }

  #plan(): void {
    if (!this.#stopped) this.#timer ??= setTimeout(this.#sweep, SWEEP_MS);
  }

  readonly #sweep = (): void => {
    this.#timer = undefined;
    for (const leaving of this.#resting.values()) {
      if (this.#reserved >= MOST_RESERVED) break;
      if (leaving.place === 'none' && isDelivered(leaving.connection.socket)) this.#reserve(leaving);
    }
    this.#goOn(MOST_LOOKS);
    if (this.#waiting.size + this.#resting.size > 0) this.#plan();
  };

  /** Sends those on their way that have rested, and then as many of those that wait. */
  #goOn(looks: number): void {
    const now = performance.now();
    for (const [fd, leaving] of this.#resting) {
      if (this.#onTheirWay >= MOST_LEAVING) break;
      if (leaving.since + REST_MS > now) continue;
      this.#wake(fd);
      // A client that is slow to take an answer is in the middle of it.
      if (isDelivered(leaving.connection.socket)) this.#go(leaving);
      else this.#stayed(leaving, 'slipped');
    }
    for (let look = 0; look < looks && this.#onTheirWay < MOST_LEAVING; look++) {
      const { value: leaving, done } = this.#round.next();
      if (done === true) {
        this.#round = this.#waiting.values();
        return;
      }
      const { kept, until } = leaving;
      if (kept === undefined || until > now) this.#try(leaving);
      else {
        this.#forget(leaving);
        kept('busy');
      }
    }
  }

  #try(leaving: Leaving): void {
    if (this.#resting.size >= MOST_RESTING || this.#onTheirWay >= MOST_LEAVING) return;
    if (leaving.notBefore > performance.now()) return;
    const { connection } = leaving;
    const held = this.movableOf(connection)?.takeOut();
    const fd = descriptorOf(connection.socket);
    if (held === undefined || fd === undefined) return;
    this.#waiting.delete(leaving);
    leaving.held = held;
    if (held.length > 0 || unreadBytes(fd) > 0) {
      this.#go(leaving);
      return;
    }
    const silentMs = sinceReceived(fd);
    const delivered = isDelivered(connection.socket);
    if (delivered) this.#reserve(leaving);
    if (silentMs >= REST_MS && delivered) this.#go(leaving);
    else this.#rest(fd, leaving, silentMs);
  }

  /** Its next octets stay in the kernel, whose word of them ends the rest. */
  #rest(fd: number, leaving: Leaving, silentMs: number): void {
    leaving.since = performance.now() - silentMs;
    this.#resting.set(fd, leaving);
    this.#epoll ??= this.#openEpoll();
    this.#epoll.add(fd, EPOLLIN | EPOLLRDHUP);
  }

  /** Looks for a place, so that it is frozen for a moment only; without one it takes longer. */
  #reserve(leaving: Leaving): void {
    if (this.#reserved >= MOST_RESERVED || leaving.place !== 'none') return;
    const { connection, wish } = leaving;
    leaving.place = 'asked';
    this.#reserved += 1;
    const departure = { connection, wish, flags: this.movableOf(connection)?.flags ?? 0 };
    const refused = this.handBacks.reserve(departure, {
      reserved: () => {
        leaving.place = 'reserved';
        if (leaving.going) this.#leave(leaving);
      },
      ...this.#outcomesOf(leaving),
    });
    if (refused !== undefined) this.#placeGone(leaving);
  }

  #outcomesOf(leaving: Leaving): DepartureOutcomes {
    return {
      moved: () => {
        this.#placeGone(leaving);
        this.#arrived(leaving);
        this.#forget(leaving);
        this.#goOn(1);
      },
      stayed: (reason) => {
        this.#placeGone(leaving);
        this.#stayed(leaving, reason);
        this.#goOn(1);
      },
    };
  }

  #openEpoll(): Epoll {
    const epoll = new Epoll();
    this.#unwatch = epoll.watch(() =>
      epoll.drain((fd) => {
        const leaving = this.#resting.get(fd);
        this.#wake(fd);
        if (leaving !== undefined) this.#go(leaving);
      }),
    );
    return epoll;
  }

  #wake(fd: number): void {
    this.#resting.delete(fd);
    this.#epoll?.remove(fd);
  }

  #go(leaving: Leaving): void {
    const { connection, wish, held, place } = leaving;
    if (connection.socket.destroyed) return;
    leaving.going = true;
    this.#onTheirWay += 1;
    if (place === 'reserved') this.#leave(leaving);
    if (place !== 'none') return;
    const departure = { connection, wish, held, flags: this.movableOf(connection)?.flags ?? 0 };
    const refused = this.handBacks.begin(departure, this.#outcomesOf(leaving));
    if (refused !== undefined) this.#stayed(leaving, refused);
  }

  /** It has a place, and nothing keeps it. */
  #leave(leaving: Leaving): void {
    const refused = this.handBacks.leave(leaving.connection);
    if (refused === undefined) return;
    this.#placeGone(leaving);
    this.#stayed(leaving, refused);
  }

  /** It is not on its way any more. */
  #arrived(leaving: Leaving): void {
    if (leaving.going) this.#onTheirWay -= 1;
    leaving.going = false;
  }

  #stayed(leaving: Leaving, reason: StayReason): void {
    const { connection, kept } = leaving;
    // It may have been resting as yet.
    const fd = descriptorOf(connection.socket);
    if (fd !== undefined && this.#resting.get(fd) === leaving) this.#wake(fd);
    this.#giveUpPlace(leaving);
    this.#arrived(leaving);
    this.#putBack(leaving);
    const over = connection.socket.destroyed || leaving.cancelled || this.#stopped;
    // A packet that came in between says nothing about the next attempt.
    const last = kept !== undefined && (reason !== 'slipped' || performance.now() >= leaving.until);
    // Half closed, or on its way out: it ends by itself.
    if (last || over || reason === 'not_movable') {
      this.#forget(leaving);
      kept?.(reason === 'not_movable' ? 'closing' : 'refused');
      return;
    }
    leaving.held = NOTHING;
    leaving.notBefore = performance.now() + (reason === 'slipped' ? SWEEP_MS : RETRY_MS);
    this.#waiting.add(leaving);
    this.#plan();
  }

  #putBack({ connection }: Leaving): void {
    if (!connection.socket.destroyed) this.movableOf(connection)?.putBack();
  }
}
