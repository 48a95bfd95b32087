import { closeSync, constants, fstatSync, openSync, statSync, write } from 'node:fs';
import { EAGAIN } from '../kernel/errors';
import { writerOn, type Write } from '../kernel/writer';
import { countLines } from './log-output';

const { O_APPEND, O_CREAT, O_NOCTTY, O_NONBLOCK, O_RDWR, O_WRONLY } = constants;
/** The group may read it. */
const MODE = 0o640;
const NOTHING = Buffer.alloc(0);

/**
 * A file that lines are appended to, without this thread ever waiting for it. A disk may take seconds over a write, so a
 * regular file is written by another thread (libuv's pool), one piece at a time; what is no regular file (a FIFO, a terminal)
 * says at once what it takes.
 */
export class LogFile {
  readonly #fd: number;
  /** For what is no regular file. */
  readonly #writeNow: Write | undefined;
  /** What the last write has left, which goes first. */
  #rest: Buffer = NOTHING;
  #busy = false;
  #closed = false;
  /** Why the last write that failed did so, `-errno`. */
  #refusal = -EAGAIN;
  #whenOver: (() => void) | undefined;

  /**
   * `ready` is called when a write is over, and more is taken.
   * @throws Error with the system's reason.
   */
  constructor(
    path: string,
    private readonly ready: () => void,
  ) {
    // Opened for reading too, a FIFO waits for no reader, and lines wait in it while its reader is started anew.
    const fifo = statSync(path, { throwIfNoEntry: false })?.isFIFO() ?? false;
    const access = fifo ? O_RDWR : O_WRONLY | O_CREAT;
    this.#fd = openSync(path, access | O_APPEND | O_NONBLOCK | O_NOCTTY, MODE);
    this.#writeNow = fstatSync(this.#fd).isFile() ? undefined : writerOn(this.#fd);
  }

  /** Takes a piece of whole lines: its length, or `-errno`, -EAGAIN while another one is being written. */
  readonly write: Write = (lines) => {
    if (this.#closed) throw new Error('write to a closed file');
    if (this.#writeNow !== undefined) return this.#writeNow(lines);
    if (this.#busy) return -EAGAIN;
    if (this.#rest.length > 0) {
      this.#start();
      return this.#refusal;
    }
    this.#rest = lines;
    this.#start();
    return lines.length;
  };

  /** Waits for the write under way, for at most `timeoutMs`; returns how many lines of it did not get out. */
  async close(timeoutMs: number): Promise<number> {
    if (this.#busy) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, timeoutMs);
        this.#whenOver = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    this.#closed = true;
    // A descriptor that is being written to is not closed: its number could be another file's by then.
    if (!this.#busy) closeSync(this.#fd);
    return countLines(this.#rest);
  }

  #start(): void {
    this.#busy = true;
    write(this.#fd, this.#rest, (error, written) => {
      if (error === null) this.#rest = this.#rest.subarray(written);
      else this.#refusal = error.errno ?? -EAGAIN;
      // What was cut short goes on where it ended, or says why it cannot.
      if (error === null && this.#rest.length > 0) this.#start();
      else this.#over(error === null);
    });
  }

  #over(written: boolean): void {
    this.#busy = false;
    if (this.#closed) closeSync(this.#fd);
    else if (this.#whenOver !== undefined) this.#whenOver();
    else if (written) this.ready();
  }
}
