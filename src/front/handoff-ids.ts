import { randomBytes } from 'node:crypto';

/** Gives every handoff of an accepting thread an id of its own, whichever agent it goes to (steer/flow-table.ts). */
export class HandoffIds {
  /** Tells this thread's handoffs from those of others, and from those before a restart. */
  readonly epoch = randomBytes(4).readUInt32LE(0);
  #sequence = 0;

  next(): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this.#sequence;
  }
}
