import { getSystemErrorMap } from 'node:util';
import { EAGAIN, EINTR } from '../kernel/errors';
import { openWriter, PIPE_BUF, type Write } from '../kernel/writer';

/** Some thousand lines: what a process says in minutes, as repeated trouble is throttled where it is logged. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** How soon a reader that is slow is tried again, and one that is gone or whose disk is full. */
const SLOW_RETRY_MS = 20;
const BROKEN_RETRY_MS = 250;
/** The last line of a process says why it ended; a reader that is stalled must not keep the process from ending. */
const LAST_FLUSH_MS = 500;
const LAST_RETRY_MS = 5;

/** Where lines are collected, so many bytes (or a piece) wait for no others. */
const COLLECTED_BYTES = 64 * 1024;

const STDOUT = 1;
const LINE_END = 10;
const NOTHING = Buffer.alloc(0);

/** Says as a line of the log how many lines were dropped in front of it, and why. */
export type DropReport = (lines: number, cause: string) => string;

/** How lines go out. */
export interface LogOutputOptions {
  /** Bytes of the pieces that are written, longer lines excepted; what a pipe takes whole, unless given. */
  readonly pieceBytes?: number;
  /** How long a line waits for others to share a write with; not at all, unless given. */
  readonly collectMs?: number;
}

/**
 * The log's way out of the process: lines go to a descriptor whose reader may be slow, stopped or gone, or whose disk may
 * be full, and nothing here waits for that or fails because of it.
 *
 *     line --> written at once --> out
 *                 | would wait, or fails
 *                 v
 *              waiting, bounded --> out, later: [rest of a line] [how many were dropped] [what is left, the latest]
 *
 * Beyond the bound the oldest lines go, because the latest say what is the matter. A line that has begun to go out is
 * never dropped, and a single thread writes, so lines are whole. Pieces are written that a pipe takes whole or not at
 * all, so a line is also whole among those that other processes write to the same pipe, unless it is longer than that.
 */
export class LogOutput {
  readonly #write: Write;
  readonly #report: DropReport;
  readonly #pieceBytes: number;
  readonly #collectMs: number;
  /** What is left of a piece of which a part is out. */
  #begun: Buffer = NOTHING;
  /** Lines from `#first` on. */
  #waiting: Buffer[] = [];
  #first = 0;
  #waitingBytes = 0;
  #dropped = 0;
  #unreported = 0;
  #cause = '';
  #retry: NodeJS.Timeout | undefined;
  /** Whether `#retry` is the first try. */
  #collecting = false;

  constructor(write: Write, report: DropReport, options: LogOutputOptions = {}) {
    this.#write = write;
    this.#report = report;
    this.#pieceBytes = options.pieceBytes ?? PIPE_BUF;
    this.#collectMs = options.collectMs ?? 0;
  }

  /** The one of standard output, which also gets what is left out when the process ends. */
  static stdout(report: DropReport): LogOutput {
    const output = new LogOutput(openWriter(STDOUT), report);
    process.on('exit', () => output.flush(LAST_FLUSH_MS));
    return output;
  }

  /** Lines that were dropped since the process began. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Takes a line with its line end. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    // While a retry is due, another try in between would only cost time.
    if (this.#retry !== undefined) {
      const enough = this.#waitingBytes >= Math.max(COLLECTED_BYTES, this.#pieceBytes);
      if (this.#collecting && enough) this.#flushNow();
    } else if (this.#collectMs > 0) {
      this.#collecting = true;
      this.#flushAfter(this.#collectMs);
    } else this.#flush();
    this.#makeRoom();
  }

  /**
   * For another output that goes the same way and is of less weight: takes whole lines, but only while none of this one's
   * wait. Their length, or `-errno`.
   */
  readonly yieldTo: Write = (lines) => {
    if (this.#retry !== undefined) return -EAGAIN;
    const written = this.#write(lines);
    if (written <= 0) return written === 0 ? -EAGAIN : written;
    // A line that has begun is this output's to end, or it would begin another in the middle of it.
    this.#begun = lines.subarray(written);
    if (this.#begun.length > 0) this.#flush();
    return lines.length;
  };

  /** Says that the descriptor takes more, to who knows before the next try. Lines that wait for others still do. */
  resume(): void {
    if (this.#retry !== undefined && !this.#collecting) this.#flushNow();
  }

  /** Resolves when all is out, or after `timeoutMs`; what is left then counts as dropped. Nothing more is written. */
  async close(timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (this.#writeAll() < 0 && performance.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, LAST_RETRY_MS));
    clearTimeout(this.#retry);
    this.#dropped += countLines(this.#begun) + this.#waiting.length - this.#first;
    this.#begun = NOTHING;
    this.#waiting = [];
  }

  /** Lines that somebody else had to drop on their way here. */
  addDropped(lines: number, cause: string): void {
    if (lines === 0) return;
    this.#dropped += lines;
    this.#unreported += lines;
    this.#cause = cause;
  }

  /** Blocks the thread until all is out, for at most `timeoutMs`, and no longer than there is hope. */
  flush(timeoutMs: number): void {
    const deadline = performance.now() + timeoutMs;
    const never = new Int32Array(new SharedArrayBuffer(4));
    while (this.#writeAll() === -EAGAIN && performance.now() < deadline) {
      Atomics.wait(never, 0, 0, LAST_RETRY_MS);
    }
  }

  #flush(): void {
    this.#collecting = false;
    const result = this.#writeAll();
    if (result >= 0) return;
    this.#flushAfter(result === -EAGAIN ? SLOW_RETRY_MS : BROKEN_RETRY_MS);
  }

  #flushNow(): void {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#flush();
  }

  #flushAfter(delayMs: number): void {
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#flush();
    }, delayMs).unref();
  }

  /** Writes until nothing is left (0) or the descriptor takes no more (`-errno`). */
  #writeAll(): number {
    for (;;) {
      if (this.#begun.length === 0) this.#begun = this.#nextPiece();
      if (this.#begun.length === 0) return 0;
      const written = this.#write(this.#begun);
      if (written > 0) this.#begun = this.#begun.subarray(written);
      else if (written !== -EINTR) return this.#refused(written === 0 ? -EAGAIN : written);
    }
  }

  #refused(errno: number): number {
    this.#cause = describe(errno);
    return errno;
  }

  /** A report that is due, or lines, as many as fit into one piece. */
  #nextPiece(): Buffer {
    if (this.#unreported > 0) {
      const report = Buffer.from(this.#report(this.#unreported, this.#cause));
      this.#unreported = 0;
      return report;
    }
    const lines: Buffer[] = [];
    let length = 0;
    for (let next = this.#waiting[this.#first]; next !== undefined; next = this.#waiting[this.#first]) {
      if (lines.length > 0 && length + next.length > this.#pieceBytes) break;
      lines.push(next);
      length += next.length;
      this.#takeFirst(next);
    }
    return lines.length > 1 ? Buffer.concat(lines, length) : (lines[0] ?? NOTHING);
  }

  #makeRoom(): void {
    while (this.#waitingBytes > MAX_WAITING_BYTES) {
      const oldest = this.#waiting[this.#first];
      if (oldest === undefined) return;
      this.#takeFirst(oldest);
      this.#dropped += 1;
      this.#unreported += 1;
    }
  }

  #takeFirst(line: Buffer): void {
    this.#first += 1;
    this.#waitingBytes -= line.length;
    // Moving the rest to the front for every line would cost the square of their number.
    if (this.#first < this.#waiting.length / 2) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }
}

/** Line ends in a piece. */
export function countLines(piece: Buffer): number {
  let lines = 0;
  for (let at = piece.indexOf(LINE_END); at >= 0; at = piece.indexOf(LINE_END, at + 1)) lines += 1;
  return lines;
}

/** `ENOSPC: no space left on device` */
function describe(errno: number): string {
  const [name, message] = getSystemErrorMap().get(errno) ?? [`errno ${-errno}`, 'unknown'];
  return errno === -EAGAIN ? 'the reader does not keep up' : `${name}: ${message}`;
}
