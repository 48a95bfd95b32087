const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * The wish of whoever started the demo that it ends now. While one is watched for, signals do not end the process, so
 * that it can clean up.
 */
export class Interruption {
  #signal: NodeJS.Signals | undefined;
  readonly #listener: (signal: NodeJS.Signals) => void;
  /** Resolves at the first signal. */
  readonly came: Promise<void>;

  constructor() {
    let resolve!: () => void;
    this.came = new Promise((done) => (resolve = done));
    this.#listener = (signal) => {
      this.#signal ??= signal;
      resolve();
    };
    for (const signal of SIGNALS) process.on(signal, this.#listener);
  }

  get signal(): NodeJS.Signals | undefined {
    return this.#signal;
  }

  /** Signals end the process again. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#listener);
  }
}
