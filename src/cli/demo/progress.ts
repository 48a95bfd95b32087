const CLEAR_LINE = '\r\x1b[K';

/** Says on a terminal what is going on, in one line that the next one replaces; elsewhere it says nothing. */
export class Progress {
  readonly #shown: boolean;

  constructor(private readonly stream: NodeJS.WritableStream) {
    this.#shown = 'isTTY' in stream && stream.isTTY === true;
  }

  say(what: string): void {
    if (this.#shown) this.stream.write(`${CLEAR_LINE}${what} ...`);
  }

  clear(): void {
    if (this.#shown) this.stream.write(CLEAR_LINE);
  }
}
