import type { HandoffId } from '../steer/flow-table';
import { ProtocolError } from '../wire/frames';
import type { HandoffDetails } from '../wire/handoff-details';
import type { Adopter, Prepared } from './adopter';
import type { ChannelRules } from './front-rules';
import { RejectedOffer } from './rejected-offer';

/** Connections that one channel may have prepared at once; more are rejected. */
export const MOST_PREPARED = 4096;
/** A front decides within its prepare timeout; one that takes longer than this has lost the connection. */
const DECISION_MS = 30_000;

/** The offers of one channel that wait for the front's decision. */
export class PreparedOffers {
  /** By sequence: a front's thread has one epoch, and each of its threads a channel of its own. */
  readonly #prepared = new Map<number, Prepared>();
  /** What later requests of its connections are judged by; undefined until the front has said. */
  rules: ChannelRules | undefined;

  constructor(private readonly adopter: Adopter) {}

  get size(): number {
    return this.#prepared.size;
  }

  /** Flows that are prepared: the front may have steered them already. */
  flows(): Iterable<{ readonly flow: Buffer; readonly id: HandoffId }> {
    return this.#prepared.values();
  }

  /** Throws a RejectedOffer. */
  offer(id: HandoffId, bytes: Buffer, offset: number, length: number, front: string): void {
    if (this.#prepared.size >= MOST_PREPARED || this.#prepared.has(id.sequence)) {
      this.adopter.results.rejected += 1;
      throw new RejectedOffer('too_many_offers', `${this.#prepared.size} offers wait for a decision`);
    }
    this.#prepared.set(id.sequence, this.adopter.prepare(id, bytes, offset, length, front, this.rules));
  }

  commit(id: HandoffId, front: string, details?: HandoffDetails): void {
    const prepared = this.#take(id);
    // A front commits only what was prepared for it; if this side has discarded it since, the connection is gone.
    if (prepared === undefined) this.adopter.results.failed += 1;
    else this.adopter.adopt(prepared, front, details);
  }

  /** More octets of a connection that was prepared before they came. */
  append(id: HandoffId, octets: Buffer): void {
    const prepared = this.#prepared.get(id.sequence);
    if (prepared?.id.epoch !== id.epoch) return;
    if (!prepared.mayGrow) throw new ProtocolError('octets for a connection that has some');
    // A COMMIT finds nothing then.
    if (!this.adopter.append(prepared, octets)) this.#prepared.delete(id.sequence);
  }

  abort(id: HandoffId): void {
    const prepared = this.#take(id);
    if (prepared !== undefined) this.adopter.discard(prepared);
  }

  /** The channel is gone: nobody can commit any more. */
  channelLost(): void {
    this.rules?.close();
    for (const prepared of this.#prepared.values()) this.adopter.giveUp(prepared);
    this.#prepared.clear();
  }

  #take(id: HandoffId): Prepared | undefined {
    const prepared = this.#prepared.get(id.sequence);
    if (prepared?.id.epoch !== id.epoch) return undefined;
    this.#prepared.delete(id.sequence);
    return prepared;
  }

  /** Discards what the front has forgotten. Insertion order is time order, so the overdue ones come first. */
  discardOverdue(): void {
    const limit = performance.now() - DECISION_MS;
    for (const [sequence, prepared] of this.#prepared) {
      if (prepared.since > limit) return;
      this.#prepared.delete(sequence);
      this.adopter.giveUp(prepared);
    }
  }
}
