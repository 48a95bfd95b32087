import { Worker } from 'node:worker_threads';

/** What has not ended after this long never will. */
const HANG_MS = 30_000;

const PROGRAM = `
  const { workerData: { seen, what, ms } } = require('node:worker_threads');
  let last = -1;
  setInterval(() => {
    const now = Atomics.load(seen, 0);
    if (now === last) {
      require('node:fs').writeSync(2, what + ':' + now + ' has not ended after ' + ms + ' ms\\n');
      process.kill(process.pid, 'SIGKILL');
    }
    last = now;
  }, ms);
`;

/**
 * Ends this process when a case loops for ever, and says which: a loop that never waits also stops the test runner's own
 * clock, so this one has a thread to itself.
 */
export class Watchdog {
  readonly #seen = new Int32Array(new SharedArrayBuffer(4));
  readonly #worker: Worker;

  constructor(what: string) {
    this.#worker = new Worker(PROGRAM, { eval: true, workerData: { seen: this.#seen, what, ms: HANG_MS } });
    this.#worker.unref();
  }

  /** This case is under way. */
  see(index: number): void {
    Atomics.store(this.#seen, 0, index);
  }

  async stop(): Promise<void> {
    await this.#worker.terminate();
  }
}
