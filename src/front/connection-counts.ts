/**
 * Connections that are open, by VIP and by client, those that were handed off included: for limits. All threads of a front
 * share the counts.
 *
 *   accepted          left, or handed off           over, as the agent says
 *      |  in hand       |        |  handed             |
 *      +----------------+        +---------------------+
 *
 * A count-min sketch (Cormode and Muthukrishnan, 2005): each key has a counter in each of two rows and is taken for the
 * lower one, so memory does not grow with the number of clients, and a count is never too low. With 10,000 clients at a
 * time two of a thousand are taken for more than they have. Nobody outside knows the seed, and so who shares a counter with whom.
 *
 * What is handed is counted anew every few seconds: an end of which no agent could tell does not count for ever.
 */
import { randomInt } from 'node:crypto';
import { finish, mix } from '../balance/hash';
import { flowFamily } from '../kernel/flow';

const SLOTS = 2 ** 18;
const ROWS = 2;
/** Words of the seed, before the counters. */
const SEED_WORDS = ROWS;
/** Counters of connections in the front's hands, and behind them of those that were handed off. */
const STATE_WORDS = ROWS * SLOTS;
const [IN_HAND, HANDED] = [SEED_WORDS, SEED_WORDS + STATE_WORDS];

/** Where the parts of a flow lie (kernel/flow.ts), in 32-bit words. */
const [CLIENT, VIP, PORTS] = [0, 4, 8];
/** An IPv6 network of this many bits is one client: whoever has one has any number of addresses (RFC 6177). */
const CLIENT6_WORDS = 64 / 32;

export class ConnectionCounts {
  readonly #words: Int32Array;

  /** @param memory of another thread's counts, which these are then. */
  constructor(readonly memory = freshMemory()) {
    this.#words = new Int32Array(memory);
  }

  /** A connection is in the front's hands. */
  accepted(flow: Buffer): void {
    this.#add(flow, IN_HAND, 1);
  }

  /** It has ended there. */
  left(flow: Buffer): void {
    this.#add(flow, IN_HAND, -1);
  }

  /** It is an agent's now. */
  handed(flow: Buffer): void {
    this.#add(flow, IN_HAND, -1);
    this.#add(flow, HANDED, 1);
  }

  /** It has ended at its agent. */
  over(flow: Buffer): void {
    this.#add(flow, HANDED, -1);
  }

  /** Open connections of the flow's VIP and port. */
  ofVip(flow: Buffer): number {
    return this.#count((row) => this.#vipSlot(flow, row));
  }

  /** Of these, those of the flow's client. */
  ofClient(flow: Buffer): number {
    return this.#count((row) => this.#clientSlot(flow, row));
  }

  /** Begins to count what is handed anew. */
  recount(): Recount {
    return new Recount(this.memory, this.#words);
  }

  #add(flow: Buffer, state: number, change: number): void {
    for (let row = 0; row < ROWS; row++) {
      Atomics.add(this.#words, state + this.#vipSlot(flow, row), change);
      Atomics.add(this.#words, state + this.#clientSlot(flow, row), change);
    }
  }

  #count(slotOf: (row: number) => number): number {
    let least = Infinity;
    for (let row = 0; row < ROWS; row++) {
      const slot = slotOf(row);
      least = Math.min(
        least,
        Atomics.load(this.#words, IN_HAND + slot) + Atomics.load(this.#words, HANDED + slot),
      );
    }
    return Math.max(0, least);
  }

  #vipSlot(flow: Buffer, row: number): number {
    let hash = this.#words[row] as number;
    for (let word = VIP; word < PORTS; word++) hash = mix(hash, flow.readInt32LE(4 * word));
    return slotIn(row, mix(hash, flow.readUInt16LE(4 * PORTS + 2)));
  }

  #clientSlot(flow: Buffer, row: number): number {
    let hash = mix(this.#words[row] as number, 1);
    const words = flowFamily(flow) === 4 ? VIP : CLIENT6_WORDS;
    for (let word = CLIENT; word < words; word++) hash = mix(hash, flow.readInt32LE(4 * word));
    for (let word = VIP; word < PORTS; word++) hash = mix(hash, flow.readInt32LE(4 * word));
    return slotIn(row, mix(hash, flow.readUInt16LE(4 * PORTS + 2)));
  }
}

/** What is handed, as somebody counts it who sees all of it. What comes or goes meanwhile is a little wrong until the next. */
class Recount {
  readonly #fresh: ConnectionCounts;
  readonly #words: Int32Array;

  constructor(
    memory: SharedArrayBuffer,
    private readonly target: Int32Array,
  ) {
    const fresh = new SharedArrayBuffer(memory.byteLength);
    this.#words = new Int32Array(fresh);
    this.#words.set(target.subarray(0, SEED_WORDS));
    this.#fresh = new ConnectionCounts(fresh);
  }

  add(flow: Buffer): void {
    this.#fresh.handed(flow);
  }

  finish(): void {
    for (let at = HANDED; at < HANDED + STATE_WORDS; at++) {
      const count = this.#words[at] as number;
      if (this.target[at] !== count) Atomics.store(this.target, at, count);
    }
  }
}

export type { Recount };

function freshMemory(): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(4 * (SEED_WORDS + 2 * STATE_WORDS));
  const words = new Int32Array(memory);
  for (let row = 0; row < SEED_WORDS; row++) words[row] = randomInt(2 ** 31);
  return memory;
}

function slotIn(row: number, hash: number): number {
  return row * SLOTS + (finish(hash) & (SLOTS - 1));
}
