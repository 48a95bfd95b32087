import type { AccessLogConfig } from '../config/model';
import { besideLog } from '../observe/log';
import { LogFile } from '../observe/log-file';
import { LogOutput, type DropReport } from '../observe/log-output';
import { formatDropped } from './access-line';

/** As for the log: a reader that is stalled, or a full disk, must not keep a process from ending. */
const LAST_WRITES_MS = 500;
/**
 * What one write to a file takes, some hundred lines, and how long lines wait for each other. Each write wakes another thread:
 * with pieces of 64 KiB and 10 ms a line cost twice as much.
 */
const PIECE_BYTES = 256 * 1024;
const COLLECT_MS = 50;

/** Where the lines of an access log go: bounded, and never waited for. */
export class AccessOutput {
  readonly #output: LogOutput;
  readonly #file: LogFile | undefined;
  /** Lines that the file had taken and could not keep. */
  #lost = 0;

  /** @throws Error that names the file. */
  constructor({ file }: Pick<AccessLogConfig, 'file'>, node: string) {
    const report: DropReport = (lines, cause) => formatDropped(node, lines, cause);
    if (file === undefined) {
      this.#output = besideLog({ node, component: 'agent' }, report);
      return;
    }
    this.#file = openFile(file, () => this.#output.resume());
    this.#output = new LogOutput(this.#file.write, report, {
      collectMs: COLLECT_MS,
      pieceBytes: PIECE_BYTES,
    });
  }

  /** Takes a line with its line end. */
  write(line: string): void {
    this.#output.write(line);
  }

  get dropped(): number {
    return this.#output.dropped + this.#lost;
  }

  /** Writes what is left, as far as that goes without waiting long. */
  async close(): Promise<void> {
    await this.#output.close(LAST_WRITES_MS);
    this.#lost = (await this.#file?.close(LAST_WRITES_MS)) ?? 0;
  }
}

function openFile(path: string, ready: () => void): LogFile {
  try {
    return new LogFile(path, ready);
  } catch (cause) {
    throw new Error(`open access_log ${path}: ${(cause as Error).message}`, { cause });
  }
}
