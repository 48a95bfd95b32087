/**
 * What an agent does with offers: checks them, restores the connection, and lets it live when the front commits.
 *
 *   OFFER   -> restore -> prepared: silent and deaf     undo: ABORT, the channel is lost, too long without an answer
 *   COMMIT  -> live    -> adopted: an ordinary socket of the server
 *
 * An agent never goes live without COMMIT, so there is at most one live copy of a connection at any time.
 */
import { EXHAUSTED, OUT_OF_FILES } from '../kernel/errors';
import { FLOW_BYTES } from '../kernel/flow';
import { socketOn } from '../kernel/node-socket';
import { release } from '../repair/dump';
import { RepairError } from '../repair/errors';
import { checkSnapshot, FLAGS, FLOW, RAW, RECEIVE_LENGTH } from '../repair/layout';
import { appendReceived, goLive, Restorer, roomToProbe, statePart, unsentPart } from '../repair/restore';
import type { FlowRecord, HandoffId } from '../steer/flow-table';
import type { HandoffDetails } from '../wire/handoff-details';
import { Admission, type AllowedVip, type Claim, type Holders } from './admission';
import type { LiveConnection, LiveConnections } from './live-connections';
import type { ChannelRules } from './front-rules';
import { onlyMessage, type OnlyMessage } from './one-request';
import { OwnAddresses } from './own-addresses';
import { RejectedOffer } from './rejected-offer';
import { Inlet, inletOf } from './request-gate';

const MORE_FILES = 'raise the limit of open files of this agent (LimitNOFILE, ulimit -n) or add backends';
const MORE_MEMORY = 'this host has no memory for another connection';

/** Counts for metrics: values of the label `result` of agent_adoptions_total. */
export const ADOPTION_RESULTS = ['ok', 'rejected', 'aborted', 'channel_lost', 'failed'] as const;
export type AdoptionResult = (typeof ADOPTION_RESULTS)[number];

/** What is to be known of a connection beside itself. */
export interface Arrival {
  /** How its requests get to the server; undefined where the server reads them by itself. */
  readonly entry: Entry | undefined;
  /** It has no head. */
  readonly raw: boolean;
  /** What the application that had it before has left. */
  readonly state: Buffer | undefined;
  /** What the process before this one has read from it and nobody has seen. */
  readonly held?: Buffer | undefined;
}

/** A restored connection that waits for the front's decision. */
export interface Prepared extends Arrival {
  readonly id: HandoffId;
  readonly claim: Claim;
  readonly fd: number;
  readonly flow: Buffer;
  readonly unsent: Buffer;
  /** roomToProbe (repair/restore.ts). */
  room: number;
  /** More octets may come for it: its receive queue is empty, and none have. */
  mayGrow: boolean;
  readonly since: number;
}

/** How requests of a connection are let in: one of them, or all that are judged; undefined: as they come. */
export type Entry = OnlyMessage | Inlet;

export interface AdopterOptions {
  readonly vips: readonly AllowedVip[];
  /** Addresses of this host: no client has one of them. */
  readonly own?: OwnAddresses;
  readonly live: LiveConnections;
  /** Whose the connections of this host are, where it has more than the live ones. */
  readonly holders?: Holders;
  /**
   * The first descriptor that is not for connections: the application, the channels and the admin API need some. The kernel
   * gives out the lowest that is free (open(2)), so a fresh one from here on says that all below are in use.
   */
  readonly reservedFrom: number;
  /** Whether there is somebody who would serve such a connection. */
  readonly serves: (arrival: Arrival) => boolean;
  /** The one place through which every adopted connection passes to whoever serves it. */
  readonly admit: (connection: LiveConnection, arrival: Arrival) => void;
  /** A connection is about to be restored: what is left of it here, from when it moved away, makes way. */
  readonly makeWay?: (flow: string) => void;
  /** How long a restore took, seconds. */
  readonly restored: (seconds: number) => void;
  /** A commit that could not be kept. */
  readonly lost: (flow: Buffer, cause: string) => void;
  /** A prepared copy is gone without the front's say-so: the front may have steered its flow here. */
  readonly voided: (record: FlowRecord) => void;
}

/** Shared by all channels of an agent. */
export class Adopter {
  readonly results: Record<AdoptionResult, number> = {
    ok: 0,
    rejected: 0,
    aborted: 0,
    channel_lost: 0,
    failed: 0,
  };
  readonly #restorer = new Restorer();
  readonly #admission: Admission;
  /** True while offers are refused because the agent is on its way out. */
  stopping = false;

  constructor(readonly options: AdopterOptions) {
    const { vips, live, holders = live, own = new OwnAddresses() } = options;
    this.#admission = new Admission(vips, holders, own);
  }

  /** Restores a connection that a front offers. Throws a RejectedOffer. */
  prepare(
    id: HandoffId,
    bytes: Buffer,
    offset: number,
    length: number,
    front: string,
    rules?: ChannelRules,
  ): Prepared {
    const began = performance.now();
    let claim: Claim | undefined;
    try {
      if (this.stopping) throw new RejectedOffer('stopping', 'agent is stopping');
      checkSnapshot(bytes, offset, length);
      claim = this.#admission.claim(bytes, offset, length, front);
      const arrival = {
        entry: onlyMessage(bytes, offset) ?? inletOf(bytes, offset, rules),
        raw: (bytes.readUInt8(offset + FLAGS) & RAW) !== 0,
        state: statePart(bytes, offset, length),
      };
      if (!this.options.serves(arrival)) throw new RejectedOffer('no_service', lackOf(arrival));
      this.options.makeWay?.(claim.flow);
      const fd = this.#restore(bytes, offset, claim.replacesOpen);
      const flow = Buffer.from(bytes.subarray(offset + FLOW, offset + FLOW + FLOW_BYTES));
      const now = performance.now();
      this.options.restored((now - began) / 1000);
      return {
        id,
        claim,
        fd,
        flow,
        unsent: unsentPart(bytes, offset, length),
        room: roomToProbe(bytes, offset),
        mayGrow: bytes.readUInt32BE(offset + RECEIVE_LENGTH) === 0,
        ...arrival,
        since: now,
      };
    } catch (error) {
      if (claim !== undefined) this.#admission.release(claim);
      this.results.rejected += 1;
      throw rejection(error);
    }
  }

  #restore(bytes: Buffer, offset: number, replacesOpen: boolean): number {
    const fd = this.#restorer.restore(bytes, offset, replacesOpen);
    const { reservedFrom } = this.options;
    if (fd < reservedFrom) return fd;
    release(fd);
    throw new RejectedOffer('exhausted', `${reservedFrom} files are open: ${MORE_FILES}`);
  }

  /**
   * Adds to the empty receive queue of a prepared connection, once. False where this host has no room for them: it is dropped, for
   * without them it must never live.
   */
  append(prepared: Prepared, octets: Buffer): boolean {
    const { claim, fd, flow, id } = prepared;
    prepared.mayGrow = false;
    prepared.room -= octets.length;
    try {
      if (!this.#admission.grow(claim, octets.length))
        throw new RepairError('kernel', 'append to receive queue: too much is prepared');
      appendReceived(fd, octets);
      return true;
    } catch (error) {
      if (!(error instanceof RepairError)) throw error;
      this.#drop(prepared);
      this.options.lost(flow, error.message);
      this.options.voided({ flow, id });
      return false;
    }
  }

  /** The commit point: from here on the connection is this host's. */
  adopt(prepared: Prepared, front: string, details?: HandoffDetails): void {
    const { id, claim, fd, flow, unsent, room, entry } = prepared;
    this.#admission.release(claim);
    let taken: number;
    try {
      taken = goLive(fd, unsent, room >= 0);
    } catch (error) {
      if (!(error instanceof RepairError)) throw error;
      this.results.failed += 1;
      release(fd);
      this.options.lost(flow, error.message);
      this.options.voided({ flow, id });
      return;
    }
    const socket = entry instanceof Inlet ? socketOn(fd, entry.read) : socketOn(fd);
    socket.setNoDelay(true);
    if (taken < unsent.length) socket.write(unsent.subarray(taken));
    const connection = this.options.live.add(flow, id, front, socket, details);
    this.results.ok += 1;
    this.options.admit(connection, prepared);
  }

  /** Forgets a prepared connection without a packet, as its front wishes. */
  discard(prepared: Prepared): void {
    this.results.aborted += 1;
    this.#drop(prepared);
  }

  /** Forgets a prepared connection whose front cannot be asked, or has not decided for too long. */
  giveUp(prepared: Prepared): void {
    this.results.channel_lost += 1;
    this.#drop(prepared);
    this.options.voided({ flow: prepared.flow, id: prepared.id });
  }

  #drop({ claim, fd }: Prepared): void {
    this.#admission.release(claim);
    release(fd);
  }

  close(): void {
    this.#restorer.close();
  }
}

/** What an agent would need to take it. */
function lackOf({ raw, state }: Arrival): string {
  if (raw) return 'nobody takes connections without a head: serve.tcp is missing';
  if (state !== undefined)
    return "nobody takes connections with an application's state: serve.app exports no adopt";
  return 'nobody takes HTTP connections: serve.app or serve.upstream is missing';
}

/** Whatever went wrong with one offer, the agent lives on: it serves other connections. */
function rejection(error: unknown): RejectedOffer {
  if (error instanceof RejectedOffer) return error;
  if (!(error instanceof RepairError)) return new RejectedOffer('kernel', String(error));
  const { code, errno } = error;
  if (EXHAUSTED.has(errno))
    return new RejectedOffer(
      'exhausted',
      `${error.message}: ${OUT_OF_FILES.has(errno) ? MORE_FILES : MORE_MEMORY}`,
    );
  const known =
    code === 'not_permitted' ||
    code === 'vip_not_local' ||
    code === 'address_in_use' ||
    code === 'malformed_snapshot';
  return new RejectedOffer(known ? code : 'kernel', error.message);
}
