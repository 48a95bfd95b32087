/** At most one line per interval about the same kind of trouble: a log must not fill a disk when a backend fails. */
const INTERVAL_MS = 1000;

/** Says which lines of a kind that may come thousands of times a second are written; kinds come from bounded sets. */
export class LogThrottle {
  readonly #loggedAt = new Map<string, number>();

  allows(kind: string): boolean {
    const now = performance.now();
    if (now - (this.#loggedAt.get(kind) ?? -INTERVAL_MS) < INTERVAL_MS) return false;
    this.#loggedAt.set(kind, now);
    return true;
  }
}
