/** Something that has to happen in time; `expiresAt` is the queue's, 0 while nothing is pending. */
export interface Expirable {
  expiresAt: number;
}

interface Entry<T> {
  readonly item: T;
  readonly expiresAt: number;
}

/**
 * Deadlines that all lie equally far ahead, so that they expire in the order in which they were set: one timer for any
 * number of connections, and setting or clearing one costs a few nanoseconds. A cleared entry stays in the queue until
 * its time has come, which bounds the memory by rate times duration.
 */
export class Deadlines<T extends Expirable> {
  #entries: Entry<T>[] = [];
  #first = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly durationMs: number,
    private readonly expired: (item: T) => void,
  ) {}

  set(item: T): void {
    item.expiresAt = performance.now() + this.durationMs;
    this.#entries.push({ item, expiresAt: item.expiresAt });
    this.#timer ??= setTimeout(this.#expire, this.durationMs);
  }

  clear(item: T): void {
    item.expiresAt = 0;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#entries = [];
    this.#first = 0;
  }

  readonly #expire = (): void => {
    const now = performance.now();
    let entry = this.#entries[this.#first];
    while (entry !== undefined && entry.expiresAt <= now) {
      this.#first += 1;
      // A deadline that was cleared, or set anew, no longer has this entry's time.
      if (entry.item.expiresAt === entry.expiresAt) {
        entry.item.expiresAt = 0;
        this.expired(entry.item);
      }
      entry = this.#entries[this.#first];
    }
    this.#compact();
    // Timers fire up to a millisecond early; without the addition that would be a busy loop.
    this.#timer =
      entry === undefined ? undefined : setTimeout(this.#expire, Math.max(1, entry.expiresAt - now + 1));
  };

  /** Gives expired entries' memory back once they are the larger part: each is then moved once on average. */
  #compact(): void {
    if (this.#first * 2 < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}
