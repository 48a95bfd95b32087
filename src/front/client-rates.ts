/**
 * A token bucket for each client: so many connections per second, and a burst of as many more as it has saved up. It is kept
 * as the time at which the bucket will be full again (the virtual scheduling of ITU-T I.371's GCRA), so that a client that has
 * been quiet needs no memory.
 */

/** Clients that are remembered; those that have come longest ago are forgotten first, and begin anew with a full bucket. */
const MOST_CLIENTS = 65_536;
/** Tokens between two times that it is looked whom to forget: a Map's oldest entry is not found without passing over gaps. */
const FORGET_EVERY = 256;

export class ClientRates {
  /** When each client's bucket is full, milliseconds, in the order of their last connections. */
  readonly #fullAt = new Map<string, number>();
  readonly #tokenMs: number;
  #taken = 0;

  /**
   * @param perSecond tokens that a bucket gets.
   * @param burst tokens that it holds.
   */
  constructor(
    perSecond: number,
    private readonly burst: number,
  ) {
    this.#tokenMs = 1000 / perSecond;
  }

  /** Takes a token of a client's bucket at `now` (milliseconds); false where there is none. */
  take(client: string, now: number): boolean {
    const fullAt = Math.max(now, this.#fullAt.get(client) ?? now);
    if (fullAt - now > (this.burst - 1) * this.#tokenMs) return false;
    this.#fullAt.delete(client);
    this.#fullAt.set(client, fullAt + this.#tokenMs);
    if (++this.#taken % FORGET_EVERY === 0) this.#forget(now);
    return true;
  }

  get size(): number {
    return this.#fullAt.size;
  }

  /** Whose bucket is full again, and who is one too many: a few at a time, the oldest first. */
  #forget(now: number): void {
    for (const [client, fullAt] of this.#fullAt) {
      if (fullAt > now && this.#fullAt.size <= MOST_CLIENTS) return;
      this.#fullAt.delete(client);
    }
  }
}
