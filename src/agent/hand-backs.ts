/**
 * Connections on their way from this agent to another backend, by way of their front (wire/hand-back.ts).
 *
 *   begin       freeze, dump, HANDBACK
 *   settle      nothing slipped in? SETTLED; else WITHDRAWN, thaw
 *   taken       release: it lives elsewhere
 *   returned    thaw: it goes on here
 *
 * or, where it is idle, and so that it is frozen for as short as can be:
 *
 *   reserve     dump, RESERVE; it goes on
 *   reserved    another agent has it prepared
 *   leave       freeze, collect what has come, nothing slipped in? LEAVE; else WITHDRAWN, thaw
 *   cancel      WITHDRAWN
 *
 *   channel lost, or no word for too long: before SETTLED or LEAVE it is thawed; behind it the front may have given it to another
 *   agent, so it is let go of without a packet, and VOID has the front ask the client who serves it.
 */
import { duplicate } from '../kernel/descriptor';
import { KernelError } from '../kernel/errors';
import { descriptorOf } from '../kernel/node-socket';
import { unacknowledgedBytes } from '../kernel/socket';
import { copyIdle, copyReceived, dump, DumpBuffer, thaw, unmoved } from '../repair/dump';
import { RepairError } from '../repair/errors';
import { freeze } from '../repair/freeze';
import { FLAGS, RECEIVE_SEQUENCE, SEND_SEQUENCE } from '../repair/layout';
import { ReleaseQueue } from '../repair/release-queue';
import type { FlowRecord, HandoffId } from '../steer/flow-table';
import { MAX_APPENDED_BYTES } from '../wire/frames';
import type { ReturnReason, Wish } from '../wire/hand-back';
import { DestroyGuard } from './destroy-guard';
import type { LiveConnection } from './live-connections';

/**
 * How long after the freeze it is looked whether anything has slipped in: a packet that was past the filter on another CPU
 * lands within microseconds, or later where a hypervisor takes the CPU away. The front's answer takes at least as long.
 */
const SETTLE_MS = 0.2;
/** A front decides within three prepare timeouts; one that takes longer than this has lost the connection. */
const DECISION_MS = 30_000;
const SWEEP_MS = 5_000;
/** What its client has not acknowledged is sent again by the next agent, after a second where it is lost: little may travel. */
const MOST_UNDELIVERED = 64 * 1024;
/** Bytes that are being handed back at once: each may have megabytes in its queues. */
const MOST_BYTES = 64 * 1024 * 1024;

/** Why a connection stays: what the front said, or what went wrong at this end. */
export type StayReason = ReturnReason | 'no_front' | 'not_movable' | 'slipped' | 'too_many' | 'channel_lost';

/** Where a connection can be handed back to. */
export interface FrontLine {
  handBack(id: HandoffId, wish: Wish, snapshot: Buffer, length: number): void;
  settled(id: HandoffId): void;
  withdrawn(id: HandoffId): void;
  reserve(id: HandoffId, wish: Wish, snapshot: Buffer, length: number): void;
  leave(id: HandoffId, octets: Buffer): void;
}

/** What is handed back of a connection. */
export interface Departure {
  readonly connection: LiveConnection;
  readonly wish: Wish;
  /** Flags of the snapshot (repair/layout.ts). */
  readonly flags: number;
  /** What was read from it and nobody has seen: the beginning of its receive queue. */
  readonly held: Buffer;
  /** The application's. */
  readonly state?: Buffer | undefined;
}

/** What becomes of it; one of the two is called, once, and never from within what began it. */
export interface DepartureOutcomes {
  /** It is gone, and its socket destroyed. */
  moved(): void;
  /** It goes on here: its socket is as it was, and nothing was read from it. Its server may have destroyed it meanwhile. */
  stayed(reason: StayReason): void;
}

/** As well as that there is a place for it: `leave` can be called. */
export interface ReservationOutcomes extends DepartureOutcomes {
  reserved(): void;
}

/**
 * How far a connection has come: it goes on while a place is looked for, or can leave at once; or it is frozen and in repair, and
 * may be taken back; or the front alone decides.
 */
type Stage = 'asking' | 'reserved' | 'frozen' | 'settled';

interface Pending {
  readonly connection: LiveConnection;
  readonly outcomes: DepartureOutcomes;
  readonly line: FrontLine;
  readonly fd: number;
  readonly bytes: number;
  /** Where its client's octets, and its own, end in the snapshot. */
  readonly sendSequence: number;
  receiveSequence: number;
  /** performance.now() of the snapshot, or of the freeze. */
  since: number;
  stage: Stage;
  guard?: DestroyGuard;
  /** What has come since a place was reserved; undefined for a connection without one. */
  octets?: Buffer;
}

export interface HandBacksOptions {
  /** Where connections of a front can be handed back to now. */
  readonly lineTo: (front: string) => FrontLine | undefined;
  /** The connection leaves without an end that anybody has to be told of. */
  readonly forget: (connection: LiveConnection) => void;
  /** It was let go of, and nobody may have it. */
  readonly voided: (record: FlowRecord) => void;
}

export class HandBacks {
  /** By handoff; in the order of time. */
  readonly #pending = new Map<string, Pending>();
  /** Their flows, Latin-1 text of the bytes. */
  readonly #flows = new Set<string>();
  /** Attempts that were taken back, by handoff: each gets an answer, and it must not pass for the next one's. */
  readonly #unanswered = new Map<string, FrontLine>();
  readonly #dumped = new DumpBuffer();
  /** Flows (Latin-1 text of their bytes) of which a socket is left here, and the other way round. */
  readonly #left = new Map<string, number>();
  readonly #flowOf = new Map<number, string>();
  readonly #released = new ReleaseQueue((fd) => {
    this.#left.delete(this.#flowOf.get(fd) ?? '');
    this.#flowOf.delete(fd);
  });
  readonly #settling: Pending[] = [];
  #settlePlanned = false;
  #bytes = 0;
  /** None begin while this is set; those that have go on. */
  paused = false;
  readonly #sweeper: NodeJS.Timeout;

  constructor(private readonly options: HandBacksOptions) {
    this.#sweeper = setInterval(() => this.#giveUpOverdue(), SWEEP_MS).unref();
  }

  /** Connections that wait for their front's decision. */
  get size(): number {
    return this.#pending.size;
  }

  stop(): void {
    clearInterval(this.#sweeper);
    for (const pending of [...this.#pending.values()]) this.#abandon(pending);
    this.#released.stop();
  }

  /**
   * Hands a connection back of which nothing is being read or written: its reading is stopped, and all that was written to
   * it is the kernel's. Returns why not, and then nothing has happened.
   */
  begin(departure: Departure, outcomes: DepartureOutcomes): StayReason | undefined {
    const { connection, wish, flags, held, state } = departure;
    const way = this.#wayOf(connection);
    if (typeof way === 'string') return way;
    const { line, fd } = way;
    if (unacknowledgedBytes(fd) > MOST_UNDELIVERED) return 'not_movable';
    let length: number;
    try {
      freeze(fd);
    } catch (error) {
      return whyNot(error);
    }
    try {
      length = this.#dump(fd, connection, held, state);
    } catch (error) {
      if (!revived(fd)) connection.socket.destroy();
      return whyNot(error);
    }
    const pending = this.#add(connection, line, fd, length, flags, 'frozen', outcomes);
    pending.guard = new DestroyGuard(connection.socket);
    line.handBack(connection.id, wish, this.#dumped.bytes, length);
    this.#settling.push(pending);
    this.#planSettle();
    return undefined;
  }

  /**
   * Has a place reserved for a connection as `begin` takes it, with nothing unread and nothing unacknowledged; it goes on until
   * `leave`. Returns why not, and then nothing has happened.
   */
  reserve(
    { connection, wish, flags }: Pick<Departure, 'connection' | 'wish' | 'flags'>,
    outcomes: ReservationOutcomes,
  ): StayReason | undefined {
    const way = this.#wayOf(connection);
    if (typeof way === 'string') return way;
    const { line, fd } = way;
    let length: number;
    try {
      length = copyIdle(fd, connection.flow, this.#dumped);
    } catch (error) {
      return whyNot(error);
    }
    this.#add(connection, line, fd, length, flags, 'asking', outcomes);
    line.reserve(connection.id, wish, this.#dumped.bytes, length);
    return undefined;
  }

  /** There is a place for a connection. */
  reserved(line: FrontLine, id: HandoffId): void {
    const pending = this.#find(line, id);
    if (pending?.stage !== 'asking') return;
    pending.stage = 'reserved';
    (pending.outcomes as ReservationOutcomes).reserved();
  }

  /**
   * Hands back a connection that has a place; nothing was read from it since. Returns why not, and then it stays, and no outcome
   * follows.
   */
  leave({ id }: LiveConnection): StayReason | undefined {
    const pending = this.#pending.get(keyOf(id));
    if (pending?.stage !== 'reserved') return 'slipped';
    const { connection, fd, sendSequence, receiveSequence } = pending;
    const { socket } = connection;
    try {
      if (descriptorOf(socket) !== fd || socket.writableEnded)
        throw new RepairError('not_established', 'hand back: its server has ended it');
      freeze(fd);
      pending.stage = 'frozen';
      const length = copyReceived(fd, sendSequence, receiveSequence, this.#dumped);
      if (length > MAX_APPENDED_BYTES)
        throw new RepairError('queue_moved', `hand back: ${length} octets more`);
      pending.octets = Buffer.from(this.#dumped.queues.subarray(0, length));
      pending.receiveSequence = (receiveSequence + length) >>> 0;
    } catch (error) {
      this.#withdraw(pending);
      if (isAway(pending) && !revived(fd)) socket.destroy();
      return whyNot(error);
    }
    pending.guard = new DestroyGuard(socket);
    pending.since = performance.now();
    this.#settling.push(pending);
    this.#planSettle();
    return undefined;
  }

  /** A connection stays for which a place was asked for or reserved; nothing is called. */
  cancel({ id }: LiveConnection): void {
    const pending = this.#pending.get(keyOf(id));
    if (pending === undefined || isAway(pending)) return;
    this.#withdraw(pending);
  }

  /** To whom a connection would be handed back, or why it cannot be. */
  #wayOf({ front, id, socket }: LiveConnection): { line: FrontLine; fd: number } | StayReason {
    const line = this.paused ? undefined : this.options.lineTo(front);
    if (line === undefined) return 'no_front';
    const fd = descriptorOf(socket);
    if (fd === undefined || socket.destroyed || socket.writableEnded) return 'not_movable';
    // The front's answer to the last attempt is still to come, or it is on its way.
    if (this.#unanswered.has(keyOf(id)) || this.#pending.has(keyOf(id))) return 'slipped';
    return this.#bytes > MOST_BYTES ? 'too_many' : { line, fd };
  }

  #add(
    connection: LiveConnection,
    line: FrontLine,
    fd: number,
    length: number,
    flags: number,
    stage: Stage,
    outcomes: DepartureOutcomes,
  ): Pending {
    const { bytes } = this.#dumped;
    bytes[FLAGS] = flags;
    const pending: Pending = {
      connection,
      outcomes,
      line,
      fd,
      bytes: length,
      sendSequence: bytes.readUInt32BE(SEND_SEQUENCE),
      receiveSequence: bytes.readUInt32BE(RECEIVE_SEQUENCE),
      since: performance.now(),
      stage,
    };
    this.#pending.set(keyOf(connection.id), pending);
    this.#flows.add(flowOf(connection));
    this.#bytes += length;
    return pending;
  }

  /** Whether the connection of a flow is on its way from here. */
  isLeaving(flow: string): boolean {
    return this.#flows.has(flow);
  }

  /** A connection comes back: what is left of it here from before makes way. */
  makeWay(flow: string): void {
    const left = this.#left.get(flow);
    if (left !== undefined) this.#released.closeNow(left);
  }

  /** The front has given the connection to another agent. */
  taken(line: FrontLine, id: HandoffId): void {
    const pending = this.#find(line, id);
    // A front must not before it was settled; one that does had better not be believed.
    if (pending?.stage !== 'settled') return;
    this.#take(pending);
    this.#letGo(pending);
  }

  /** The front has found nobody for it. */
  returned(line: FrontLine, id: HandoffId, reason: ReturnReason): void {
    const key = keyOf(id);
    if (this.#unanswered.get(key) === line) {
      this.#unanswered.delete(key);
      return;
    }
    const pending = this.#find(line, id);
    if (pending === undefined) return;
    this.#take(pending);
    this.#stay(pending, reason);
  }

  channelLost(line: FrontLine): void {
    for (const [key, each] of this.#unanswered) if (each === line) this.#unanswered.delete(key);
    for (const pending of [...this.#pending.values()]) if (pending.line === line) this.#abandon(pending);
  }

  #dump(fd: number, { flow }: LiveConnection, held: Buffer, state: Buffer | undefined): number {
    // A server that closes it meanwhile, or an agent that dies, must not end a connection that is another agent's by then.
    let length = dump(fd, flow, this.#dumped, 0, true);
    if (held.length > 0) length = this.#dumped.replaceReceived(length, 0, held);
    return state === undefined ? length : this.#dumped.appendState(length, state);
  }

  #planSettle(): void {
    if (this.#settlePlanned) return;
    this.#settlePlanned = true;
    setImmediate(this.#settle);
  }

  readonly #settle = (): void => {
    this.#settlePlanned = false;
    const now = performance.now();
    for (let first = this.#settling[0]; first !== undefined; first = this.#settling[0]) {
      if (now - first.since < SETTLE_MS) {
        this.#planSettle();
        return;
      }
      this.#settling.shift();
      if (this.#pending.get(keyOf(first.connection.id)) === first) this.#settleOne(first);
    }
  };

  #settleOne(pending: Pending): void {
    const { line, connection, fd, guard, octets, receiveSequence } = pending;
    // Its server may have ended it meanwhile: a timeout, or a close.
    if (guard?.ended !== true && isUnmoved(fd, receiveSequence)) {
      pending.stage = 'settled';
      if (octets === undefined) line.settled(connection.id);
      else line.leave(connection.id, octets);
      return;
    }
    this.#withdraw(pending);
    this.#stay(pending, 'slipped');
  }

  #withdraw(pending: Pending): void {
    const { line, connection } = pending;
    this.#take(pending);
    // To say so may end the channel, and that there will be no answer.
    this.#unanswered.set(keyOf(connection.id), line);
    line.withdrawn(connection.id);
  }

  /** Nobody will decide about it any more. */
  #abandon(pending: Pending): void {
    this.#take(pending);
    if (pending.stage !== 'settled') {
      this.#stay(pending, 'channel_lost');
      return;
    }
    const { flow, id } = pending.connection;
    this.#letGo(pending);
    this.options.voided({ flow, id });
  }

  #letGo(pending: Pending): void {
    const { connection, fd, guard, outcomes } = pending;
    this.options.forget(connection);
    try {
      // What is still on its way to it shall meet no RST for a while.
      const left = duplicate(fd);
      this.#released.add(left);
      const flow = flowOf(connection);
      this.#left.set(flow, left);
      this.#flowOf.set(left, flow);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
    guard?.end();
    connection.socket.destroy();
    outcomes.moved();
  }

  #stay(pending: Pending, reason: StayReason): void {
    const { connection, fd, guard, outcomes } = pending;
    if (isAway(pending) && !revived(fd)) connection.socket.destroy();
    guard?.end();
    outcomes.stayed(reason);
  }

  #find(line: FrontLine, id: HandoffId): Pending | undefined {
    const pending = this.#pending.get(keyOf(id));
    return pending?.line === line ? pending : undefined;
  }

  #take({ connection, bytes }: Pending): void {
    this.#pending.delete(keyOf(connection.id));
    this.#flows.delete(flowOf(connection));
    this.#bytes -= bytes;
  }

  #giveUpOverdue(): void {
    const limit = performance.now() - DECISION_MS;
    for (const pending of [...this.#pending.values()]) {
      if (pending.since > limit) continue;
      if (pending.stage === 'settled') this.#abandon(pending);
      else {
        this.#withdraw(pending);
        this.#stay(pending, 'channel_lost');
      }
    }
  }
}

function keyOf({ epoch, sequence }: HandoffId): string {
  return `${epoch}.${sequence}`;
}

function flowOf({ flow }: LiveConnection): string {
  return flow.toString('latin1');
}

/** Whether a connection is not its server's any more. */
function isAway({ stage }: Pending): boolean {
  return stage === 'frozen' || stage === 'settled';
}

/** What a failed attempt to make a snapshot says of the next one. */
function whyNot(error: unknown): StayReason {
  if (!(error instanceof RepairError)) throw error;
  return error.code === 'queue_moved' ? 'slipped' : 'not_movable';
}

/** Whether a connection that was dumped is an ordinary one again. */
function revived(fd: number): boolean {
  try {
    thaw(fd);
    return true;
  } catch (error) {
    if (!(error instanceof RepairError)) throw error;
    return false;
  }
}

/** A socket that cannot be asked is none any more. */
function isUnmoved(fd: number, expected: number): boolean {
  try {
    return unmoved(fd, expected);
  } catch (error) {
    if (!(error instanceof RepairError)) throw error;
    return false;
  }
}
