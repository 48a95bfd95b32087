/**
 * The handoff of a connection whose head is complete, or that has none.
 *
 *   begin     pick a backend, freeze
 *   attempt   dump, OFFER                               undo from here on: ABORT, thaw
 *   prepared  nothing slipped in? steer, release, COMMIT        <- the commit point
 *   rejected, timeout, channel lost                     the next backend, then the fallback
 *
 * The client hears nothing between freeze and live, and whatever it sends in between it sends again.
 */
import { flowFamily } from '../kernel/flow';
import type { HeadChanges } from '../peek/head';
import type { Forwarding } from '../relay/forwarding';
import type { FlowTable } from '../steer/flow-table';
import { dump, type DumpBuffer, reset, silence, thaw, unmoved } from '../repair/dump';
import { RepairError } from '../repair/errors';
import { freeze } from '../repair/freeze';
import { acknowledged, FLAGS, PER_REQUEST, RAW, RECEIVE_SEQUENCE, ROUTED } from '../repair/layout';
import type { RejectReason } from '../wire/frames';
import type { Backend, HandoffResult } from './backend';
import type { Connection } from './connection';
import { Deadlines, type Expirable } from './deadlines';
import type { HeadEditor } from './head-editor';
import type { Offered } from './offers';
import type { Pool } from './pool';
import type { ReleaseQueue } from '../repair/release-queue';

/** Backends tried for one connection before the fallback: a client waits for at most so many prepare timeouts. */
const MOST_ATTEMPTS = 3;

const NONE: readonly Backend[] = [];

/** About the connection, so that clients could have backends ejected by them; and an agent that stops is none to eject. */
const NOT_TO_BLAME: ReadonlySet<RejectReason> = new Set(['address_in_use', 'malformed_snapshot', 'stopping']);

/** Why a connection could not be handed off: values of the label `reason` of fallbacks_total. */
export const FALLBACK_REASONS = [
  'pipelined',
  'no_backend',
  'backends_full',
  'all_refused',
  'flow_table_full',
  'not_established',
  'not_permitted',
  'repair_failed',
] as const;
export type FallbackReason = (typeof FALLBACK_REASONS)[number];

export interface HandoffOutcomes {
  /** The connection is the agent's now. */
  done(connection: Connection): void;
  /** The connection lives on here, thawed. */
  failed(connection: Connection, pool: Pool, reason: FallbackReason, detail: string): void;
  /** The connection could not be thawed and is gone. */
  lost(connection: Connection, detail: string): void;
  /** An agent refused an offer: worth a line in the log, because the next one may be refused for the same reason. */
  rejected(backend: Backend, reason: RejectReason): void;
}

/** One connection on its way to a backend. */
export class Handoff implements Expirable, Offered {
  expiresAt = 0;
  sequence = 0;
  backend: Backend;
  tried: readonly Backend[] = NONE;
  /** rcv_nxt in the snapshot that was offered. */
  receiveSequence = 0;
  /** snd_una in the snapshot that was offered. */
  acknowledged = 0;
  /** Sequence number of the client's SYN. */
  initialSequence = 0;

  constructor(
    private readonly engine: Handoffs,
    readonly connection: Connection,
    readonly pool: Pool,
    readonly key: string,
    first: Backend,
    /** performance.now() when the head was complete, or a connection without one accepted. */
    readonly startedAt: number,
    /** What is changed of the head. */
    readonly changes: HeadChanges | undefined,
    /** What its route does; it knows the route's name. */
    readonly forwarding: Forwarding<Pool>,
  ) {
    this.backend = first;
  }

  get names(): Buffer {
    return this.forwarding.namesWith(this.pool);
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

export class Handoffs {
  readonly #deadlines: Deadlines<Handoff>;

  constructor(
    private readonly flows: FlowTable,
    private readonly released: ReleaseQueue,
    private readonly epoch: number,
    private readonly editor: HeadEditor,
    /** Where connections are dumped to; the head of one that is given to `begin` is there already. */
    private readonly dumped: DumpBuffer,
    prepareMs: number,
    private readonly outcomes: HandoffOutcomes,
  ) {
    this.#deadlines = new Deadlines(prepareMs, (handoff) => this.#timedOut(handoff));
  }

  stop(): void {
    this.#deadlines.stop();
  }

  /** Takes the connection over, of which `received` bytes have been peeked; one of the outcomes follows. */
  begin(
    connection: Connection,
    pool: Pool,
    key: string,
    received: number,
    now: number,
    changes: HeadChanges | undefined,
    forwarding: Forwarding<Pool>,
  ): void {
    const backend = pool.pick(flowFamily(connection.flow), key, NONE);
    if (backend === undefined) {
      if (pool.full)
        this.outcomes.failed(connection, pool, 'backends_full', 'max_connections of all backends');
      else this.outcomes.failed(connection, pool, 'no_backend', 'no backend takes handoffs');
      return;
    }
    const handoff = new Handoff(this, connection, pool, key, backend, now, changes, forwarding);
    try {
      freeze(connection.fd);
      this.#attempt(handoff, received);
    } catch (error) {
      this.#giveUp(handoff, error);
    }
  }

  prepared(handoff: Handoff): void {
    this.#deadlines.clear(handoff);
    const { connection, backend } = handoff;
    let verdict: 'steered' | 'moved' | 'table_full';
    try {
      if (!unmoved(connection.fd, handoff.receiveSequence)) verdict = 'moved';
      else {
        silence(connection.fd);
        verdict = this.#steer(handoff) ? 'steered' : 'table_full';
      }
    } catch (error) {
      backend.offers.withdraw(handoff);
      this.#giveUp(handoff, error);
      return;
    }
    if (verdict === 'steered') {
      this.#commit(handoff);
      return;
    }
    backend.offers.withdraw(handoff);
    if (verdict === 'moved') {
      this.#next(handoff, 'moved');
    } else {
      backend.results.table_full += 1;
      this.#fail(handoff, 'flow_table_full', `all ${this.flows.capacity} flows are in use`);
    }
  }

  rejected(handoff: Handoff, reason: RejectReason): void {
    if (!NOT_TO_BLAME.has(reason)) handoff.backend.streak.failed('rejected');
    this.outcomes.rejected(handoff.backend, reason);
    this.#next(handoff, 'rejected');
  }

  lost(handoff: Handoff): void {
    handoff.backend.channelLost();
    this.#next(handoff, 'channel_lost');
  }

  #timedOut(handoff: Handoff): void {
    handoff.backend.offers.overdue(handoff);
    handoff.backend.streak.failed('timeout');
    this.#next(handoff, 'timeout');
  }

  /** Dumps the frozen connection and offers it to `handoff.backend`. */
  #attempt(handoff: Handoff, received = 0): void {
    const { changes } = handoff;
    const { fd, flow, judged, raw } = handoff.connection;
    let length = dump(fd, flow, this.dumped, received);
    const { judges } = handoff.backend.offers;
    if ((judged && !judges) || changes !== undefined)
      length = this.editor.edit(this.dumped, length, judged && !judges, changes);
    if (judged && judges) this.dumped.bytes[FLAGS] = PER_REQUEST | ROUTED;
    if (raw) this.dumped.bytes[FLAGS] = RAW;
    handoff.receiveSequence = this.dumped.bytes.readUInt32BE(RECEIVE_SEQUENCE);
    handoff.acknowledged = acknowledged(this.dumped.bytes, 0);
    handoff.initialSequence = this.dumped.initialSequence;
    this.#deadlines.set(handoff);
    handoff.backend.offers.make(handoff, this.dumped.bytes, length);
  }

  /** False when the flow table is full. */
  #steer(handoff: Handoff): boolean {
    const { connection, backend, sequence } = handoff;
    const hop = flowFamily(connection.flow) === 4 ? backend.hops[4] : backend.hops[6];
    if (hop === undefined)
      throw new RepairError('kernel', `backend ${backend.name} has no next hop of this family`);
    const client = {
      sequence: handoff.receiveSequence,
      acknowledged: handoff.acknowledged,
      initial: handoff.initialSequence,
    };
    return this.flows.insert(connection.flow, hop, backend.number, this.epoch, sequence, client);
  }

  /** No way back: the agent may go live as soon as it reads this. */
  #commit(handoff: Handoff): void {
    const { connection, backend, pool } = handoff;
    this.released.add(connection.fd);
    backend.offers.commit(handoff);
    backend.results.ok += 1;
    backend.streak.succeeded();
    pool.handoffDuration.observe((performance.now() - handoff.startedAt) / 1000);
    this.outcomes.done(connection);
  }

  /** After a failed attempt: the socket is still frozen and in repair, so another dump is all that is needed. */
  #next(handoff: Handoff, result: HandoffResult): void {
    this.#deadlines.clear(handoff);
    handoff.backend.results[result] += 1;
    handoff.tried = [...handoff.tried, handoff.backend];
    // What moved has come to rest by now, and the same backend is as good as before.
    const again = result === 'moved' ? handoff.backend : this.#another(handoff);
    if (again === undefined || handoff.tried.length >= MOST_ATTEMPTS) {
      this.#fail(handoff, 'all_refused', `${handoff.tried.length} attempts, the last one: ${result}`);
      return;
    }
    handoff.backend = again;
    try {
      this.#attempt(handoff);
    } catch (error) {
      this.#giveUp(handoff, error);
    }
  }

  #another({ connection, pool, key, tried }: Handoff): Backend | undefined {
    return pool.pick(flowFamily(connection.flow), key, tried);
  }

  /** A step at this end failed: no other backend would change that. */
  #giveUp(handoff: Handoff, error: unknown): void {
    if (!(error instanceof Error)) throw error;
    const code = error instanceof RepairError ? error.code : undefined;
    const reason = code === 'not_established' || code === 'not_permitted' ? code : 'repair_failed';
    this.#fail(handoff, reason, error.message);
  }

  #fail(handoff: Handoff, reason: FallbackReason, detail: string): void {
    this.#deadlines.clear(handoff);
    try {
      thaw(handoff.connection.fd);
    } catch (error) {
      // It cannot be brought back, so its client must not wait for it.
      reset(handoff.connection.fd);
      this.outcomes.lost(handoff.connection, `${detail}; ${String(error)}`);
      return;
    }
    this.outcomes.failed(handoff.connection, handoff.pool, reason, detail);
  }
}
