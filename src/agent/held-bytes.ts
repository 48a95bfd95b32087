const EMPTY = Buffer.alloc(0);

/** What has been read of a connection and is not anybody's yet. Most connections never have any. */
export class HeldBytes {
  #memory: Buffer = EMPTY;
  #start = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  /** Valid until the next change. */
  get bytes(): Buffer {
    return this.#memory.subarray(this.#start, this.#end);
  }

  /** Adds bytes [at, end) of `from`, a copy of them. */
  add(from: Buffer, at: number, end: number): void {
    const total = this.length + end - at;
    if (this.#end + end - at > this.#memory.length) this.#move(total);
    this.#end += from.copy(this.#memory, this.#end, at, end);
  }

  /** The first so many are somebody's. */
  drop(count: number): void {
    this.#start += count;
    if (this.#start < this.#end) return;
    // Nothing keeps the memory of a burst.
    this.#memory = EMPTY;
    this.#start = this.#end = 0;
  }

  /** To the beginning of memory that has room for `total`; twice as much, or a byte at a time would be copied again and again. */
  #move(total: number): void {
    const memory = Buffer.allocUnsafeSlow(total <= this.#memory.length / 2 ? this.#memory.length : 2 * total);
    this.#end = this.#memory.copy(memory, 0, this.#start, this.#end);
    this.#start = 0;
    this.#memory = memory;
  }
}
