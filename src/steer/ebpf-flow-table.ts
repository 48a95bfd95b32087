import {
  mapDelete,
  mapInfo,
  mapLookup,
  mapReplace,
  mapUpdate,
  MapWalk,
  TestPacket,
  type MapInfo,
} from '../kernel/bpf';
import { E2BIG, ENOENT, KernelError } from '../kernel/errors';
import { FLOW_BYTES } from '../kernel/flow';
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
} from './flow-table';
import * as layout from './layout';

/**
 * The flow table in the kernel, over the descriptors of the pinned map `flows` and of the program `baton_review`, which
 * threads may share.
 */
export class EbpfFlowTable implements FlowTable {
  readonly #info: MapInfo;
  readonly #value = Buffer.alloc(layout.FLOW_VALUE_BYTES);

  readonly #reviews: TestPacket;

  constructor(
    readonly fd: number,
    readonly reviewFd: number,
  ) {
    this.#info = mapInfo(fd);
    this.#reviews = new TestPacket(
      reviewFd,
      layout.ETH_HEADER_BYTES + layout.MOST_REVIEWS * layout.REVIEW_BYTES,
    );
  }

  get capacity(): number {
    return this.#info.maxEntries;
  }

  insert(
    flow: Buffer,
    hop: NextHop,
    backend: number,
    epoch: number,
    sequence: number,
    client: ClientNumbers,
  ): boolean {
    this.#compose(hop, backend, epoch, sequence, client);
    const result = mapUpdate(this.fd, flow, this.#value);
    if (result < 0 && result !== -E2BIG) throw new KernelError('insert into flow table', -result);
    return result === 0;
  }

  replace(
    flow: Buffer,
    hop: NextHop,
    backend: number,
    epoch: number,
    sequence: number,
    client: ClientNumbers,
  ): boolean {
    this.#compose(hop, backend, epoch, sequence, client);
    const result = mapReplace(this.fd, flow, this.#value);
    if (result < 0 && result !== -ENOENT) throw new KernelError('replace in flow table', -result);
    return result === 0;
  }

  /** Makes a new entry in `#value`. */
  #compose(hop: NextHop, backend: number, epoch: number, sequence: number, client: ClientNumbers): void {
    const value = this.#value;
    const now = monotonicNs();
    hop.address.copy(value, layout.NEXT_HOP, 0, 16);
    value.writeUInt32LE(hop.ifindex, layout.IFINDEX);
    value.writeUInt32LE(backend, layout.BACKEND);
    value.writeUInt32LE(sequence, layout.HANDOFF);
    value.writeUInt32LE(epoch, layout.HANDOFF + 4);
    layout.writeU64(value, now, layout.CREATED);
    layout.writeU64(value, now, layout.LAST_SEEN);
    value.fill(0, layout.PACKETS, layout.CLIENT_SEQUENCE);
    value.writeUInt32BE(client.sequence, layout.CLIENT_SEQUENCE);
    value.writeUInt32BE(client.acknowledged, layout.CLIENT_ACKNOWLEDGED);
    value.writeUInt32BE(client.initial, layout.CLIENT_INITIAL);
  }

  get(flow: Buffer): FlowEntry | undefined {
    const result = mapLookup(this.fd, flow, this.#value);
    if (result === -ENOENT) return undefined;
    if (result < 0) throw new KernelError('look up in flow table', -result);
    return entryOf(flow, this.#value, 0);
  }

  remove(flow: Buffer, id: HandoffId, silentSince = Infinity): boolean {
    // Not one atomic step. In the microsecond between the two a client would have to reuse its port and complete a
    // handshake and a handoff; its SYN has deleted the old entry before, so the check sees that in all other cases.
    const entry = this.get(flow);
    if (entry === undefined || !sameHandoff(entry.id, id) || entry.lastSeen >= silentSince) return false;
    return mapDelete(this.fd, flow) === 0;
  }

  review(handoffs: readonly FlowRecord[], silentSince: number, stays: OnStay): void {
    for (let begin = 0; begin < handoffs.length; begin += layout.MOST_REVIEWS) {
      const batch = handoffs.slice(begin, begin + layout.MOST_REVIEWS);
      const visit: OnStay = (index, backend, lastSeen) => stays(begin + index, backend, lastSeen);
      if (this.#reviewAtOnce(batch, silentSince, visit)) continue;
      // The kernel has no memory for a packet, or does not let us: each takes its own system calls then.
      batch.forEach((handoff, index) => this.#reviewOne(handoff, index, silentSince, visit));
    }
  }

  /** False when nothing was done. */
  #reviewAtOnce(batch: readonly FlowRecord[], silentSince: number, stays: OnStay): boolean {
    const { bytes } = this.#reviews;
    let end = layout.ETH_HEADER_BYTES;
    for (const { flow, id } of batch) {
      flow.copy(bytes, end, 0, FLOW_BYTES);
      bytes.writeUInt32LE(id.sequence, end + layout.REVIEW_HANDOFF);
      bytes.writeUInt32LE(id.epoch, end + layout.REVIEW_HANDOFF + 4);
      layout.writeU64(bytes, Math.max(0, silentSince), end + layout.REVIEW_SEEN);
      end += layout.REVIEW_BYTES;
    }
    if (this.#reviews.run(end) < 0) return false;
    for (let index = 0; index < batch.length; index++) {
      const at = layout.ETH_HEADER_BYTES + index * layout.REVIEW_BYTES;
      const lastSeen = layout.readU64(bytes, at + layout.REVIEW_SEEN);
      if (lastSeen > 0) stays(index, bytes.readUInt32LE(at + layout.REVIEW_BACKEND), lastSeen);
    }
    return true;
  }

  #reviewOne({ flow, id }: FlowRecord, index: number, silentSince: number, stays: OnStay): void {
    if (this.remove(flow, id, silentSince)) return;
    const entry = this.get(flow);
    if (entry !== undefined && sameHandoff(entry.id, id)) stays(index, entry.backend, entry.lastSeen);
  }

  forEach(visit: (entry: FlowEntry) => void): void {
    const walk = new MapWalk(this.fd, this.#info);
    let more = true;
    while (more) {
      more = walk.next((keys, keyOffset, values, valueOffset) =>
        visit(entryOf(keys.subarray(keyOffset, keyOffset + FLOW_BYTES), values, valueOffset)),
      );
    }
  }

  *silent(since: number): Generator<readonly FlowRecord[], void> {
    const walk = new MapWalk(this.fd, this.#info);
    let more = true;
    while (more) {
      const found: FlowRecord[] = [];
      more = walk.next((keys, keyOffset, values, valueOffset) => {
        if (layout.readU64(values, valueOffset + layout.LAST_SEEN) >= since) return;
        const flow = Buffer.from(keys.subarray(keyOffset, keyOffset + FLOW_BYTES));
        found.push({ flow, id: handoffOf(values, valueOffset) });
      });
      yield found;
    }
  }
}

function entryOf(flow: Buffer, value: Buffer, offset: number): FlowEntry {
  return {
    flow,
    backend: value.readUInt32LE(offset + layout.BACKEND),
    id: handoffOf(value, offset),
    created: layout.readU64(value, offset + layout.CREATED),
    lastSeen: layout.readU64(value, offset + layout.LAST_SEEN),
    packets: layout.readU64(value, offset + layout.PACKETS),
    bytes: layout.readU64(value, offset + layout.BYTES),
    client: {
      sequence: value.readUInt32BE(offset + layout.CLIENT_SEQUENCE),
      acknowledged: value.readUInt32BE(offset + layout.CLIENT_ACKNOWLEDGED),
      initial: value.readUInt32BE(offset + layout.CLIENT_INITIAL),
    },
  };
}

function handoffOf(value: Buffer, offset: number): HandoffId {
  return {
    sequence: value.readUInt32LE(offset + layout.HANDOFF),
    epoch: value.readUInt32LE(offset + layout.HANDOFF + 4),
  };
}
