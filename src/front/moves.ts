/**
 * Live connections that their agents hand back, on their way to another backend (wire/hand-back.ts).
 *
 *   handedBack   is it steered to that agent? where does it belong? OFFER
 *   prepared, settled                                                  in any order
 *                still steered to that agent? steer, COMMIT, TAKEN     <- the commit point
 *   rejected, timeout, channel lost                                    the next backend, then RETURNED
 *   withdrawn    ABORT
 *
 * or, for a connection that goes on as yet:
 *
 *   reserve      OFFER as above
 *   prepared     RESERVED
 *   left         do the octets that have come belong there? steer, APPEND, COMMIT, TAKEN    <- the commit point
 *                else ABORT, and on as if it had been handed back now, and settled
 *
 * The discipline is that of a handoff (handoff.ts): up to the commit point the agent's copy can be thawed, from there on it
 * never speaks again, and what it has frozen its client sends again, to whoever has the connection then.
 */
import { FLOW_BYTES, flowFamily } from '../kernel/flow';
import { Http1Peek } from '../peek/http1';
import { NO_HEAD, type Asker } from '../peek/head';
import { Answering } from '../relay/answering';
import type { Routes } from '../relay/routes';
import type { DumpBuffer } from '../repair/dump';
import { RepairError } from '../repair/errors';
import {
  acknowledged,
  advancedClock,
  checkSnapshot,
  FLAGS,
  FLOW,
  HEADER_BYTES,
  PER_REQUEST,
  RECEIVE_LENGTH,
  RECEIVE_SEQUENCE,
  ROUTED,
  TIMESTAMP,
} from '../repair/layout';
import { sameHandoff, type FlowEntry, type FlowTable, type HandoffId } from '../steer/flow-table';
import type { RejectReason } from '../wire/frames';
import type { ReturnReason, Wish } from '../wire/hand-back';
import { encodeNames } from '../wire/handoff-details';
import type { HandBack } from '../wire/records';
import type { Backend } from './backend';
import { Deadlines, type Expirable } from './deadlines';
import type { HeadEditor } from './head-editor';
import type { Offered, Offers } from './offers';
import type { Pool } from './pool';

/** As of a handoff. */
const MOST_ATTEMPTS = 3;
/** What moves of all agents may hold here: snapshots wait for milliseconds. */
export const MOST_MOVES = 4096;
export const MOST_MOVING_BYTES = 64 * 1024 * 1024;
/** A connection that has a place reserved leaves within half a second, or is withdrawn. */
const LONGEST_RESERVED_MS = 5_000;
/** Places that connections of an agent may have, and that an agent may hold: others are to find room beside them. */
export const MOST_PLACES_OF = 256;
export const MOST_PLACES_FOR = 1024;
/**
 * A restored clock is 250 ms ahead of its snapshot (repair/restore.ts). With one that was restored later than this, it could be
 * behind that of the connection, which goes on.
 */
const LATEST_PLACE_MS = 200;
/** An agent waits for a decision for half a minute, however long a handoff may take. */
const LONGEST_PREPARE_MS = 5_000;
/** Of a connection that moves without a head. */
const NO_ROUTE = '-';
const NOTHING = Buffer.alloc(0);

/** What became of a move: values of the label `result` of moves_total and handbacks_total. */
export const MOVE_RESULTS = [
  'ok',
  'withdrawn',
  'channel_lost',
  'same_backend',
  'not_steered',
  'no_route',
  'answered',
  'no_backend',
  'refused',
  'stopping',
  'malformed',
] as const;
export type MoveResult = (typeof MOVE_RESULTS)[number];

export interface MoveOutcomes {
  /** The connection is another backend's now. */
  moved(move: Move, backend: Backend): void;
  /** Its agent keeps a connection, or nobody has it: `channel_lost` is the one of the agent that handed it back. */
  stayed(wish: Wish, result: Exclude<MoveResult, 'ok'>): void;
  rejected(backend: Backend, reason: RejectReason): void;
}

/** What an accepting thread has for its moves. */
export interface MoveParts {
  readonly flows: FlowTable;
  /** Of the thread's handoffs. */
  readonly epoch: number;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly routes: Pick<Routes<Pool>, 'actionFor'>;
  /** Name of the listener that the connection of a flow came to. */
  readonly listenerOf: (flow: Buffer) => string | undefined;
  readonly editor: HeadEditor;
  /** Where snapshots are worked on. */
  readonly dumped: DumpBuffer;
  readonly headBytes: number;
  readonly prepareMs: number;
}

/** Where a connection that is handed back goes. */
interface Way {
  readonly pool: Pool;
  readonly key: string;
  readonly names: Buffer;
  readonly snapshot: Buffer;
  /** By its head. */
  readonly routed: boolean;
}

/** One connection on its way from a backend to another one. */
export class Move implements Expirable, Offered {
  expiresAt = 0;
  sequence = 0;
  tried: readonly Backend[] = [];
  backend: Backend | undefined;
  isPrepared = false;
  isSettled = false;
  /** It goes on at its agent as yet. */
  isAhead = false;
  /** Where a place is counted for it. */
  place: Offers | undefined;
  /** What has come on it since its snapshot. */
  octets: Buffer = NOTHING;
  /** Of the route of its head, where that came behind the snapshot. */
  names: Buffer;
  /** performance.now() when its snapshot came. */
  readonly snapshotAt: number;

  constructor(
    private readonly engine: Moves,
    /** Whose it was. */
    readonly source: Offers,
    /** Of the handoff that brought it there. */
    readonly id: HandoffId,
    readonly flow: Buffer,
    readonly wish: Wish,
    readonly way: Way,
    /** performance.now() when its agent handed it back. */
    public startedAt: number,
  ) {
    this.names = way.names;
    this.snapshotAt = startedAt;
  }

  prepared(): void {
    this.engine.prepared(this);
  }

  rejected(reason: RejectReason): void {
    this.engine.rejected(this, reason);
  }

  lost(): void {
    this.engine.lost(this);
  }
}

export class Moves {
  readonly #deadlines: Deadlines<Move>;
  /** By the handoff that brought the connection where it is. */
  readonly #moves = new Map<string, Move>();
  #bytes = 0;
  readonly #reader: Http1Peek;
  #stopping = false;

  constructor(
    private readonly parts: MoveParts,
    private readonly outcomes: MoveOutcomes,
  ) {
    this.#deadlines = new Deadlines(Math.min(parts.prepareMs, LONGEST_PREPARE_MS), (move) =>
      this.#timedOut(move),
    );
    this.#reader = new Http1Peek(parts.headBytes);
  }

  /** Whether the thread is on its way out: none begins, and those that could wait for long do not. */
  get stopping(): boolean {
    return this.#stopping;
  }

  set stopping(stopping: boolean) {
    this.#stopping = stopping;
    if (!stopping) return;
    for (const move of [...this.#moves.values()]) if (move.isAhead) this.#giveUp(move, 'stopping');
  }

  /** Moves that are not over. */
  get size(): number {
    return this.#moves.size;
  }

  stop(): void {
    this.#deadlines.stop();
  }

  /** An agent hands a connection back; the snapshot lies in `bytes` up to `end`. */
  handedBack(source: Offers, { id, wish, snapshotAt }: HandBack, bytes: Buffer, end: number): void {
    const move = this.#begin(source, id, wish, bytes, snapshotAt, end - snapshotAt);
    if (move !== undefined) this.#attempt(move);
  }

  settled(source: Offers, id: HandoffId): void {
    const move = this.#find(source, id);
    if (move === undefined || move.isAhead) return;
    move.isSettled = true;
    if (move.isPrepared) this.#commit(move);
  }

  /** An agent will hand a connection back of which nothing waits in any queue; the snapshot lies in `bytes` up to `end`. */
  reserve(source: Offers, { id, wish, snapshotAt }: HandBack, bytes: Buffer, end: number): void {
    const length = end - snapshotAt;
    if (source.placesOf >= MOST_PLACES_OF || length !== HEADER_BYTES) {
      this.#return(source, id, wish, source.placesOf >= MOST_PLACES_OF ? 'refused' : 'malformed');
      return;
    }
    const move = this.#begin(source, id, wish, bytes, snapshotAt, length);
    if (move === undefined) return;
    move.isAhead = true;
    source.placesOf += 1;
    this.#attempt(move);
  }

  /** The connection with a place reserved is frozen, and handed back with what has come since. */
  left(source: Offers, id: HandoffId, octets: Buffer): void {
    const move = this.#find(source, id);
    if (move?.isAhead !== true) return;
    this.#leaves(move);
    move.isSettled = true;
    move.startedAt = performance.now();
    if (move.isPrepared && this.#belongs(move, octets)) {
      move.octets = octets;
      this.#commit(move);
      return;
    }
    move.backend?.offers.withdraw(move);
    this.#end(move);
    const snapshot = withReceived(move.way.snapshot, octets, performance.now() - move.snapshotAt);
    const again = this.#begin(source, id, move.wish, snapshot, 0, snapshot.length);
    if (again === undefined) return;
    again.isSettled = true;
    this.#attempt(again);
  }

  /** Whether what has come on a connection belongs where its place is: the agent there judges it once more. */
  #belongs(move: Move, octets: Buffer): boolean {
    const { way, flow, backend } = move;
    if (backend?.available !== true) return false;
    if ((way.snapshot.readUInt8(FLAGS) & PER_REQUEST) === 0) return true;
    const outcome = this.#reader.read(octets, octets.length);
    if (outcome === 'more') return true;
    const asker = this.#askerOf(flow);
    const action = outcome === 'head' ? this.parts.routes.actionFor(this.#reader, asker) : undefined;
    if (action === undefined || action instanceof Answering) return false;
    const pool = action.poolOf(this.#reader, asker);
    // By its key the policy may have another backend in mind, and the agent there does not know that it was led there.
    if (!pool.backends.includes(backend) || pool.keyOf(this.#reader, asker) !== '') return false;
    move.names = action.namesWith(pool);
    return true;
  }

  #askerOf(flow: Buffer): Asker {
    const listener = this.parts.listenerOf(flow);
    return { client: flow, ...(listener !== undefined && { listener }) };
  }

  withdrawn(source: Offers, id: HandoffId): void {
    const move = this.#find(source, id);
    if (move === undefined) return;
    move.backend?.offers.withdraw(move);
    this.#end(move);
    // Each hand back gets one answer, or the agent could not tell whose it is when it tries again.
    source.returned(id, 'unspecified');
    this.outcomes.stayed(move.wish, 'withdrawn');
  }

  /**
   * The agent that handed connections back cannot be told any more; those that it has settled it has let go of. What it had
   * prepared for others is gone.
   */
  channelLost(offers: Offers): void {
    for (const move of [...this.#moves.values()]) {
      if (move.isPrepared && move.backend?.offers === offers) this.#next(move);
      // What it has settled goes on: nobody else has it.
      if (move.source !== offers || move.isSettled || !this.#moves.has(keyOf(move.id))) continue;
      move.backend?.offers.withdraw(move);
      this.#end(move);
      this.outcomes.stayed(move.wish, 'channel_lost');
    }
  }

  prepared(move: Move): void {
    move.isPrepared = true;
    if (!move.isAhead) {
      if (move.isSettled) this.#commit(move);
      return;
    }
    const { offers } = move.backend ?? {};
    if (offers === undefined) return;
    if (offers.placesFor >= MOST_PLACES_FOR || performance.now() - move.snapshotAt > LATEST_PLACE_MS) {
      this.#giveUp(move, 'refused');
      return;
    }
    offers.placesFor += 1;
    move.place = offers;
    move.source.reserved(move.id);
  }

  /** A place is none any more. */
  #displace(move: Move): void {
    if (move.place !== undefined) move.place.placesFor -= 1;
    move.place = undefined;
  }

  /** It does not go on at its agent any more, or not as one that has a place. */
  #leaves(move: Move): void {
    this.#displace(move);
    if (move.isAhead) move.source.placesOf -= 1;
    move.isAhead = false;
  }

  #giveUp(move: Move, reason: ReturnReason & MoveResult): void {
    move.backend?.offers.withdraw(move);
    this.#end(move);
    this.#return(move.source, move.id, move.wish, reason);
  }

  rejected(move: Move, reason: RejectReason): void {
    if (move.backend !== undefined) this.outcomes.rejected(move.backend, reason);
    this.#next(move);
  }

  lost(move: Move): void {
    this.#next(move);
  }

  #timedOut(move: Move): void {
    if (move.isPrepared && move.isAhead && performance.now() - move.startedAt < LONGEST_RESERVED_MS) {
      this.#deadlines.set(move);
      return;
    }
    if (move.isPrepared) {
      // It waits for its own agent, which has gone silent.
      this.#giveUp(move, 'refused');
      return;
    }
    move.backend?.offers.overdue(move);
    this.#next(move);
  }

  /** Undefined where the connection does not go anywhere: its agent has been told, and why. */
  #begin(
    source: Offers,
    id: HandoffId,
    wish: Wish,
    bytes: Buffer,
    at: number,
    length: number,
  ): Move | undefined {
    const begun = this.#examine(source, id, wish, bytes, at, length);
    if (begun instanceof Move) return begun;
    this.#return(source, id, wish, begun);
    return undefined;
  }

  /** Returns why not, where the connection does not go anywhere. */
  #examine(
    source: Offers,
    id: HandoffId,
    wish: Wish,
    bytes: Buffer,
    at: number,
    length: number,
  ): Move | (ReturnReason & MoveResult) {
    if (this.stopping) return 'stopping';
    if (this.#moves.size >= MOST_MOVES || this.#bytes + length > MOST_MOVING_BYTES) return 'refused';
    const flow = Buffer.from(bytes.subarray(at + FLOW, at + FLOW + FLOW_BYTES));
    let way: ReturnType<Moves['wayOf']>;
    try {
      checkSnapshot(bytes, at, length);
      if (this.#moves.has(keyOf(id)) || this.#entryOf(source, flow, id) === undefined) return 'not_steered';
      way = this.wayOf(wish, flow, bytes.subarray(at, at + length));
    } catch (error) {
      // Or the head, once edited, is too long for its queue.
      if (!(error instanceof RepairError)) throw error;
      return 'malformed';
    }
    if (typeof way === 'string') return way;
    const move = new Move(this, source, id, flow, wish, way, performance.now());
    const own = way.pool.backends.find(({ offers }) => offers === source);
    // Where no head says where it goes, it stays among the backends of a pool that its agent is in.
    if (own === undefined && !way.routed) return 'not_steered';
    // A request may belong where its connection is, after all; for any other reason it shall leave.
    if (own !== undefined && wish.reason !== 'route') move.tried = [own];
    move.backend = this.#pick(move);
    if (move.backend === undefined) return 'no_backend';
    if (move.backend.offers === source) return 'same_backend';
    this.#moves.set(keyOf(id), move);
    this.#bytes += way.snapshot.length;
    return move;
  }

  /** The entry of a flow, if it is steered to one of the agent's backends by that handoff. */
  #entryOf(source: Offers, flow: Buffer, id: HandoffId): FlowEntry | undefined {
    const entry = this.parts.flows.get(flow);
    if (entry === undefined || !sameHandoff(entry.id, id)) return undefined;
    for (const { backends } of this.parts.pools.values())
      if (backends.some(({ offers, number }) => offers === source && number === entry.backend)) return entry;
    return undefined;
  }

  /** Where it goes: by the head in its receive queue where requests are routed, else to another backend of its pool. */
  private wayOf(
    { pool: name }: Wish,
    flow: Buffer,
    snapshot: Buffer,
  ): Way | 'malformed' | 'no_route' | 'answered' | 'no_backend' {
    const { dumped, routes, editor, pools } = this.parts;
    dumped.reserve(snapshot.length);
    snapshot.copy(dumped.bytes);
    const flags = snapshot.readUInt8(FLAGS);
    const asker = this.#askerOf(flow);
    if ((flags & PER_REQUEST) !== 0) {
      const outcome = this.#reader.read(dumped.queues, snapshot.readUInt32BE(RECEIVE_LENGTH));
      if (outcome === 'malformed') return 'malformed';
      if (outcome === 'head') {
        const action = routes.actionFor(this.#reader, asker);
        if (action === undefined) return 'no_route';
        if (action instanceof Answering) return 'answered';
        const pool = action.poolOf(this.#reader, asker);
        const key = pool.keyOf(this.#reader, asker);
        const changes = action.changesTo(this.#reader);
        const length =
          changes === undefined ? snapshot.length : editor.edit(dumped, snapshot.length, false, changes);
        dumped.bytes[FLAGS] = flags | ROUTED;
        return { pool, key, names: action.namesWith(pool), snapshot: this.#copied(length), routed: true };
      }
    }
    const pool = pools.get(name);
    if (pool === undefined) return 'no_backend';
    // Of a head nothing has been judged, whatever had been of the one before.
    dumped.bytes[FLAGS] = flags & ~ROUTED;
    const key = pool.keyOf(NO_HEAD, asker);
    return {
      pool,
      key,
      names: encodeNames(NO_ROUTE, name),
      snapshot: this.#copied(snapshot.length),
      routed: false,
    };
  }

  #copied(length: number): Buffer {
    return Buffer.from(this.parts.dumped.bytes.subarray(0, length));
  }

  #pick({ flow, wish, way: { pool, key }, tried }: Move): Backend | undefined {
    const family = flowFamily(flow);
    if (wish.backend === '') return pool.pick(family, key, tried);
    const wanted = pool.backends.find(({ name }) => name === wish.backend);
    return wanted?.available && wanted.hops[family] !== undefined && !tried.includes(wanted)
      ? wanted
      : undefined;
  }

  #attempt(move: Move): void {
    const { backend, way } = move;
    move.isPrepared = false;
    this.#deadlines.set(move);
    backend?.offers.make(move, way.snapshot, way.snapshot.length);
  }

  #next(move: Move): void {
    this.#deadlines.clear(move);
    this.#displace(move);
    if (move.backend !== undefined) move.tried = [...move.tried, move.backend];
    move.backend = move.tried.length > MOST_ATTEMPTS ? undefined : this.#pick(move);
    if (move.backend !== undefined && move.backend.offers !== move.source) {
      this.#attempt(move);
      return;
    }
    this.#end(move);
    this.#return(move.source, move.id, move.wish, move.backend === undefined ? 'refused' : 'same_backend');
  }

  #commit(move: Move): void {
    const { backend, source, id, wish } = move;
    this.#end(move);
    if (backend === undefined) return;
    if (!this.#steer(move, backend)) {
      backend.offers.withdraw(move);
      this.#return(source, id, wish, 'not_steered');
      return;
    }
    if (move.octets.length > 0) backend.offers.append(move, move.octets);
    backend.offers.commit(move);
    source.taken(id);
    this.outcomes.moved(move, backend);
  }

  /** False where its client has begun a new connection from the same port meanwhile. */
  #steer({ source, flow, id, sequence, way, octets }: Move, backend: Backend): boolean {
    const entry = this.#entryOf(source, flow, id);
    const hop = flowFamily(flow) === 4 ? backend.hops[4] : backend.hops[6];
    if (entry === undefined || hop === undefined) return false;
    const client = {
      sequence: (way.snapshot.readUInt32BE(RECEIVE_SEQUENCE) + octets.length) >>> 0,
      acknowledged: acknowledged(way.snapshot, 0),
      initial: entry.client.initial,
    };
    return this.parts.flows.replace(flow, hop, backend.number, this.parts.epoch, sequence, client);
  }

  #find(source: Offers, id: HandoffId): Move | undefined {
    const move = this.#moves.get(keyOf(id));
    return move?.source === source ? move : undefined;
  }

  #end(move: Move): void {
    this.#leaves(move);
    this.#deadlines.clear(move);
    this.#moves.delete(keyOf(move.id));
    this.#bytes -= move.way.snapshot.length;
  }

  #return(source: Offers, id: HandoffId, wish: Wish, reason: ReturnReason & MoveResult): void {
    source.returned(id, reason);
    this.outcomes.stayed(wish, reason);
  }
}

/** The snapshot of a connection with empty queues, on which these octets have come since, milliseconds ago. */
function withReceived(snapshot: Buffer, octets: Buffer, age: number): Buffer {
  const bytes = Buffer.concat([snapshot, octets]);
  bytes.writeUInt32BE(advancedClock(snapshot.readUInt32BE(TIMESTAMP), age), TIMESTAMP);
  bytes.writeUInt32BE((snapshot.readUInt32BE(RECEIVE_SEQUENCE) + octets.length) >>> 0, RECEIVE_SEQUENCE);
  bytes.writeUInt32BE(octets.length, RECEIVE_LENGTH);
  return bytes;
}

function keyOf({ epoch, sequence }: HandoffId): string {
  return `${epoch}.${sequence}`;
}
