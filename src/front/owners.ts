import type { Moved } from './messages';

/** Flows whose moves are remembered, and owners of one: the latest of each. */
const MOST_FLOWS = 4096;
const MOST_OWNERS = 16;

/** One move of a connection. */
export interface Ownership {
  readonly from: string;
  readonly to: string;
  readonly reason: Moved['reason'];
  /** When it moved, RFC 3339. */
  readonly at: string;
}

/** Which backends connections have had that have moved, for people who ask. */
export class Owners {
  /** By flow, as formatFlow has it; those that moved last come last. */
  readonly #moves = new Map<string, Ownership[]>();

  moved({ flow, from, to, reason }: Moved): void {
    const known = this.#moves.get(flow) ?? [];
    this.#moves.delete(flow);
    this.#moves.set(flow, [...known, { from, to, reason, at: new Date().toISOString() }].slice(-MOST_OWNERS));
    if (this.#moves.size <= MOST_FLOWS) return;
    const [oldest = ''] = this.#moves.keys();
    this.#moves.delete(oldest);
  }

  /** The moves of the flow, oldest first; connections that its client had before from the same port are among them. */
  of(flow: string): readonly Ownership[] {
    return this.#moves.get(flow) ?? [];
  }
}
