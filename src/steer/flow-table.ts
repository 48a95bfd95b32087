/**
 * The flow table: which flow is steered to which backend. The kernel holds it (a pinned eBPF hash map); `FlowTable` is
 * the seam, with the kernel's implementation in ebpf-flow-table.ts and an in-memory one for tests.
 */

/** Where packets of a backend's flows are sent: an on-link neighbour. */
export interface NextHop {
  /** 16 bytes, IPv4 as ::ffff:a.b.c.d. */
  readonly address: Buffer;
  readonly ifindex: number;
}

/**
 * Tells one handoff from every other one, also of the same flow: a late report about an old connection must not touch
 * its successor on the same port. `epoch` is random per accepting thread and start, `sequence` counts.
 */
export interface HandoffId {
  readonly epoch: number;
  readonly sequence: number;
}

/** A handoff of a flow, as agents and fronts speak of it. */
export interface FlowRecord {
  /** FLOW_BYTES. */
  readonly flow: Buffer;
  readonly id: HandoffId;
}

/**
 * Where the two directions of a connection stand, as its client's last packet says: the sequence number of the client's
 * own bytes, and the next one that it expects from the VIP; and where the client began.
 */
export interface ClientNumbers {
  readonly sequence: number;
  readonly acknowledged: number;
  /** Sequence number of the client's SYN: a SYN with it is a late copy and no new connection. */
  readonly initial: number;
}

export interface FlowEntry {
  /** FLOW_BYTES, valid during the visit only. */
  readonly flow: Buffer;
  readonly backend: number;
  readonly id: HandoffId;
  /** Nanoseconds on CLOCK_MONOTONIC. */
  readonly created: number;
  readonly lastSeen: number;
  readonly packets: number;
  readonly bytes: number;
  readonly client: ClientNumbers;
}

/** Visits the entry of the `index`th handoff of a review; `lastSeen` is when its last packet came, ns on CLOCK_MONOTONIC. */
export type OnStay = (index: number, backend: number, lastSeen: number) => void;

export interface FlowTable {
  readonly capacity: number;
  /** Steers a flow; an older entry for it is replaced. False when the table is full: nothing is evicted, ever. */
  insert(
    flow: Buffer,
    hop: NextHop,
    backend: number,
    epoch: number,
    sequence: number,
    client: ClientNumbers,
  ): boolean;
  /** Steers a flow elsewhere. False where it is not steered any more: its client has begun a new connection. */
  replace(
    flow: Buffer,
    hop: NextHop,
    backend: number,
    epoch: number,
    sequence: number,
    client: ClientNumbers,
  ): boolean;
  /** The entry for a flow, if there is one. */
  get(flow: Buffer): FlowEntry | undefined;
  /**
   * Ends the steering of a flow if it is still that handoff's and its last packet came before `silentSince` (ns on
   * CLOCK_MONOTONIC; whenever it came, by default); true when an entry was removed.
   */
  remove(flow: Buffer, id: HandoffId, silentSince?: number): boolean;
  /**
   * Looks at the entries of these handoffs: those whose last packet came before `silentSince` (ns on CLOCK_MONOTONIC) are
   * removed, the others visited. All together cost little more than one.
   */
  review(handoffs: readonly FlowRecord[], silentSince: number, stays: OnStay): void;
  /** Visits every entry; those that come or go meanwhile may be missed. */
  forEach(visit: (entry: FlowEntry) => void): void;
  /**
   * Finds the handoffs whose last packet came before `since` (ns on CLOCK_MONOTONIC), in parts that take a few
   * milliseconds each and may be far apart; a part may be empty.
   */
  silent(since: number): Generator<readonly FlowRecord[], void>;
}

/** Nanoseconds on CLOCK_MONOTONIC, the clock of bpf_ktime_get_ns, without a BigInt. */
export function monotonicNs(): number {
  return Math.round((performance.now() + MONOTONIC_AT_ORIGIN_MS) * 1e6);
}

const MONOTONIC_AT_ORIGIN_MS = originOnMonotonicClock();

function originOnMonotonicClock(): number {
  // Node loads `performance` at its first use, which takes most of a millisecond: not between the two readings.
  performance.now();
  return Number(process.hrtime.bigint()) / 1e6 - performance.now();
}

export function sameHandoff(a: HandoffId, b: HandoffId): boolean {
  return a.sequence === b.sequence && a.epoch === b.epoch;
}
