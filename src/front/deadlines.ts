/** Something that has to happen in time; `expiresAt` is the queue's, 0 while nothing is pending. */
export interface Expirable {
  expiresAt: number;
}

interface Entry<T> {
  readonly item: T;
  readonly expiresAt: number;
}

/** Cleared entries that may stay in any case: looking through fewer is not worth it. */
const SPARE_ENTRIES = 1024;

/**
 * Deadlines that all lie equally far ahead, so that they expire in the order in which they were set: one timer for any
 * number of connections, and setting or clearing one costs a few nanoseconds. A cleared entry stays in the queue until
 * its time has come or most of the others are cleared too, which bounds the memory by twice what is pending.
 */
export class Deadlines<T extends Expirable> {
  #entries: Entry<T>[] = [];
  #first = 0;
  #pending = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly durationMs: number,
    private readonly expired: (item: T) => void,
  ) {}

  set(item: T): void {
    if (item.expiresAt === 0) this.#pending += 1;
    item.expiresAt = performance.now() + this.durationMs;
    this.#entries.push({ item, expiresAt: item.expiresAt });
    this.#timer ??= setTimeout(this.#expire, this.durationMs);
    this.#dropCleared();
  }

  clear(item: T): void {
    if (item.expiresAt === 0) return;
    item.expiresAt = 0;
    this.#pending -= 1;
  }

  /** How many are pending. */
  get pending(): number {
    return this.#pending;
  }

  /** How many entries the queue holds, cleared ones included. */
  get size(): number {
    return this.#entries.length - this.#first;
  }

  /** Clears the deadline that was set longest ago and returns its item; undefined where none is pending. */
  takeOldest(): T | undefined {
    for (; this.#first < this.#entries.length; this.#first++) {
      const { item, expiresAt } = this.#entries[this.#first] as Entry<T>;
      if (item.expiresAt !== expiresAt) continue;
      this.clear(item);
      this.#first += 1;
      this.#compact();
      return item;
    }
    return undefined;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#entries = [];
    this.#first = 0;
    this.#pending = 0;
  }

  readonly #expire = (): void => {
    const now = performance.now();
    let entry = this.#entries[this.#first];
    while (entry !== undefined && entry.expiresAt <= now) {
      this.#first += 1;
      // A deadline that was cleared, or set anew, no longer has this entry's time.
      if (entry.item.expiresAt === entry.expiresAt) {
        this.clear(entry.item);
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

  /** Gives cleared entries' memory back once they are the larger part, which costs each setting the move of two or less. */
  #dropCleared(): void {
    if (this.#entries.length - this.#first <= 2 * this.#pending + SPARE_ENTRIES) return;
    this.#entries = this.#entries.filter(
      ({ item, expiresAt }, index) => index >= this.#first && item.expiresAt === expiresAt,
    );
    this.#first = 0;
  }
}
