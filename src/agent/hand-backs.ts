/**
 * Connections on their way from this agent to another backend, by way of their front (wire/hand-back.ts).
 *
 *   begin       freeze, dump, HANDBACK
 *   settle      nothing slipped in? SETTLED; else WITHDRAWN, thaw
 *   taken       release: it lives elsewhere
 *   returned    thaw: it goes on here
 *   channel lost, or no word for too long: before SETTLED it is thawed; behind it the front may have given it to another
 *   agent, so it is let go of without a packet, and VOID has the front ask the client who serves it.
 */
import { duplicate } from '../kernel/descriptor';
import { KernelError } from '../kernel/errors';
import { descriptorOf } from '../kernel/node-socket';
import { unacknowledgedBytes } from '../kernel/socket';
import { dump, DumpBuffer, thaw, unmoved } from '../repair/dump';
import { RepairError } from '../repair/errors';
import { acknowledge, freeze } from '../repair/freeze';
import { FLAGS, RECEIVE_SEQUENCE } from '../repair/layout';
import { ReleaseQueue } from '../repair/release-queue';
import type { FlowRecord, HandoffId } from '../steer/flow-table';
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

/** What becomes of it; one of the two is called, once, and never from within `begin`. */
export interface DepartureOutcomes {
  /** It is gone, and its socket destroyed. */
  moved(): void;
  /** It goes on here: its socket is as it was, and nothing was read from it. Its server may have destroyed it meanwhile. */
  stayed(reason: StayReason): void;
}

interface Pending extends DepartureOutcomes {
  readonly connection: LiveConnection;
  readonly line: FrontLine;
  readonly fd: number;
  readonly bytes: number;
  readonly receiveSequence: number;
  readonly frozenAt: number;
  readonly guard: DestroyGuard;
  settled: boolean;
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
    const line = this.paused ? undefined : this.options.lineTo(connection.front);
    if (line === undefined) return 'no_front';
    const fd = descriptorOf(connection.socket);
    if (fd === undefined || connection.socket.destroyed || connection.socket.writableEnded)
      return 'not_movable';
    // The front's answer to the last attempt is still to come.
    if (this.#unanswered.has(keyOf(connection.id))) return 'slipped';
    if (this.#bytes > MOST_BYTES) return 'too_many';
    if (unacknowledgedBytes(fd) > MOST_UNDELIVERED) return 'not_movable';
    let length: number;
    try {
      acknowledge(fd);
      freeze(fd);
    } catch (error) {
      if (!(error instanceof RepairError)) throw error;
      return 'not_movable';
    }
    try {
      length = this.#dump(fd, connection, held, state);
    } catch (error) {
      if (!(error instanceof RepairError)) throw error;
      if (!revived(fd)) connection.socket.destroy();
      return error.code === 'queue_moved' ? 'slipped' : 'not_movable';
    }
    const { bytes } = this.#dumped;
    bytes[FLAGS] = flags;
    const pending: Pending = {
      connection,
      line,
      fd,
      bytes: length,
      receiveSequence: bytes.readUInt32BE(RECEIVE_SEQUENCE),
      frozenAt: performance.now(),
      guard: new DestroyGuard(connection.socket),
      settled: false,
      moved: () => outcomes.moved(),
      stayed: (reason) => outcomes.stayed(reason),
    };
    this.#pending.set(keyOf(connection.id), pending);
    this.#flows.add(flowOf(connection));
    this.#bytes += length;
    line.handBack(connection.id, wish, bytes, length);
    this.#settling.push(pending);
    this.#planSettle();
    return undefined;
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
    const pending = this.#take(line, id);
    // Before it was settled a front must not, and one that does speaks of a connection that may have gone on.
    if (pending !== undefined) this.#letGo(pending);
  }

  /** The front has found nobody for it. */
  returned(line: FrontLine, id: HandoffId, reason: ReturnReason): void {
    const key = keyOf(id);
    if (this.#unanswered.get(key) === line) {
      this.#unanswered.delete(key);
      return;
    }
    const pending = this.#take(line, id);
    if (pending !== undefined) this.#stay(pending, reason);
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
      if (now - first.frozenAt < SETTLE_MS) {
        this.#planSettle();
        return;
      }
      this.#settling.shift();
      if (this.#pending.get(keyOf(first.connection.id)) === first) this.#settleOne(first);
    }
  };

  #settleOne(pending: Pending): void {
    const { line, connection, fd, guard, receiveSequence } = pending;
    // Its server may have ended it meanwhile: a timeout, or a close.
    if (!guard.ended && isUnmoved(fd, receiveSequence)) {
      pending.settled = true;
      line.settled(connection.id);
      return;
    }
    line.withdrawn(connection.id);
    this.#unanswered.set(keyOf(connection.id), line);
    this.#take(line, connection.id);
    this.#stay(pending, 'slipped');
  }

  /** Nobody will decide about it any more. */
  #abandon(pending: Pending): void {
    this.#take(pending.line, pending.connection.id);
    if (!pending.settled) {
      this.#stay(pending, 'channel_lost');
      return;
    }
    const { flow, id } = pending.connection;
    this.#letGo(pending);
    this.options.voided({ flow, id });
  }

  #letGo(pending: Pending): void {
    const { connection, fd, guard } = pending;
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
    guard.end();
    connection.socket.destroy();
    pending.moved();
  }

  #stay(pending: Pending, reason: StayReason): void {
    const { fd, guard } = pending;
    if (!revived(fd)) guard.destroy();
    guard.end();
    pending.stayed(reason);
  }

  #take(line: FrontLine, id: HandoffId): Pending | undefined {
    const pending = this.#pending.get(keyOf(id));
    if (pending?.line !== line) return undefined;
    this.#pending.delete(keyOf(id));
    this.#flows.delete(flowOf(pending.connection));
    this.#bytes -= pending.bytes;
    return pending;
  }

  #giveUpOverdue(): void {
    const limit = performance.now() - DECISION_MS;
    for (const pending of [...this.#pending.values()]) {
      if (pending.frozenAt > limit) return;
      this.#abandon(pending);
    }
  }
}

function keyOf({ epoch, sequence }: HandoffId): string {
  return `${epoch}.${sequence}`;
}

function flowOf({ flow }: LiveConnection): string {
  return flow.toString('latin1');
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
