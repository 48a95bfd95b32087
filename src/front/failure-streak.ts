/** What a handoff fails with for which its backend is to blame. */
export type Failure = 'rejected' | 'timeout' | 'channel_lost';

export interface StreakEvents {
  /** So many failures in a row, with the last one's kind; said again after as many more. */
  failing(count: number, last: Failure): void;
  /** The end of a streak that `failing` was called for. */
  recovered(): void;
}

/** Failures of a backend in a row, as one accepting thread counts them. */
export class FailureStreak {
  #count = 0;

  /** @param limit from how many on they are worth a word. */
  constructor(
    private readonly limit: number,
    private readonly events: StreakEvents,
  ) {}

  failed(how: Failure): void {
    this.#count += 1;
    if (this.#count >= this.limit && this.#count % this.limit === 0) this.events.failing(this.#count, how);
  }

  succeeded(): void {
    if (this.#count === 0) return;
    const told = this.#count >= this.limit;
    this.#count = 0;
    if (told) this.events.recovered();
  }

  /** The backend is back on trial: where it failed before, the next failure is one too many. */
  again(): void {
    if (this.#count >= this.limit) this.#count = this.limit - 1;
  }
}
