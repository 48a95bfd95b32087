import type { FlowTable } from '../steer/flow-table';

/** Counting a large table costs time; questions closer together than this share one count. */
const MAX_AGE_MS = 1000;

/** How many flows each backend has in the table. */
export class FlowCounts {
  #at = -Infinity;
  #byNumber = new Map<number, number>();

  constructor(private readonly flows: Pick<FlowTable, 'forEach'>) {}

  /** Entries by backend number, at most a second old. */
  byNumber(): ReadonlyMap<number, number> {
    const now = performance.now();
    if (now - this.#at <= MAX_AGE_MS) return this.#byNumber;
    const byNumber = new Map<number, number>();
    this.flows.forEach(({ backend }) => byNumber.set(backend, (byNumber.get(backend) ?? 0) + 1));
    this.#byNumber = byNumber;
    this.#at = now;
    return byNumber;
  }

  /** The next question is one for what there is now. */
  forget(): void {
    this.#at = -Infinity;
  }
}
