import {
  monotonicNs,
  sameHandoff,
  type ClientNumbers,
  type FlowEntry,
  type FlowRecord,
  type FlowTable,
  type HandoffId,
  type NextHop,
  type OnStay,
} from '../../src/steer/flow-table';

/** Entries of a part of a search: few, so that some of them find nothing. */
const PART = 2;

/** A flow table in this process; passes the same conformance suite as the kernel's. */
export class MemoryFlowTable implements FlowTable {
  readonly #entries = new Map<string, FlowEntry & { readonly hop: NextHop }>();

  constructor(readonly capacity = 1024) {}

  get size(): number {
    return this.#entries.size;
  }

  insert(
    flow: Buffer,
    hop: NextHop,
    backend: number,
    epoch: number,
    sequence: number,
    client: ClientNumbers,
  ): boolean {
    const key = keyOf(flow);
    if (!this.#entries.has(key) && this.#entries.size >= this.capacity) return false;
    const now = monotonicNs();
    this.#entries.set(key, {
      flow: Buffer.from(flow),
      hop: { address: Buffer.from(hop.address), ifindex: hop.ifindex },
      backend,
      id: { epoch, sequence },
      created: now,
      lastSeen: now,
      packets: 0,
      bytes: 0,
      client,
    });
    return true;
  }

  replace(...entry: Parameters<FlowTable['insert']>): boolean {
    return this.#entries.has(keyOf(entry[0])) && this.insert(...entry);
  }

  get(flow: Buffer): FlowEntry | undefined {
    return this.#entries.get(keyOf(flow));
  }

  remove(flow: Buffer, id: HandoffId, silentSince = Infinity): boolean {
    const entry = this.get(flow);
    if (entry === undefined || !sameHandoff(entry.id, id) || entry.lastSeen >= silentSince) return false;
    return this.#entries.delete(keyOf(flow));
  }

  review(handoffs: readonly FlowRecord[], silentSince: number, stays: OnStay): void {
    handoffs.forEach(({ flow, id }, index) => {
      const entry = this.get(flow);
      if (entry === undefined || !sameHandoff(entry.id, id)) return;
      if (!this.remove(flow, id, silentSince)) stays(index, entry.backend, entry.lastSeen);
    });
  }

  forEach(visit: (entry: FlowEntry) => void): void {
    for (const entry of [...this.#entries.values()]) visit(entry);
  }

  *silent(since: number): Generator<readonly FlowRecord[], void> {
    const all = [...this.#entries.values()];
    for (let begin = 0; begin < all.length; begin += PART) {
      const part = all.slice(begin, begin + PART).filter(({ lastSeen }) => lastSeen < since);
      yield part.map(({ flow, id }) => ({ flow, id }));
    }
  }

  /** What the kernel does for each packet, at any time (ns); for tests that cannot wait. */
  setTimes(flow: Buffer, times: { readonly created?: number; readonly lastSeen?: number }): void {
    const entry = this.#entries.get(keyOf(flow));
    if (entry !== undefined) this.#entries.set(keyOf(flow), { ...entry, ...times });
  }
}

function keyOf(flow: Buffer): string {
  return flow.toString('latin1');
}
