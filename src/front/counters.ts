/** Counters by one label value, as plain numbers; labels come from bounded sets. */
export class Counters {
  readonly #values = new Map<string, number>();

  add(label: string, count = 1): void {
    this.#values.set(label, (this.#values.get(label) ?? 0) + count);
  }

  get(label: string): number {
    return this.#values.get(label) ?? 0;
  }

  entries(): Iterable<[string, number]> {
    return this.#values.entries();
  }
}
