/** Where a program's log may go wrong: a pipe whose reader stops or goes away, a disk that is full. */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Host } from '../../src/lab/host';
import type { LabProcess } from '../../src/lab/lab-process';

/** A program's log while its fault comes and goes. */
export interface LogFault {
  readonly name: string;
  /** Starts the program, with its standard output as this fault needs it. */
  start(host: Host, argv: readonly string[]): LabProcess;
  /** From now on the log takes nothing more. */
  begin(): Promise<void>;
  end(): void;
  /** All that has been written, lines that filled the pipe left out. */
  text(): string;
}

/** Room for what is logged before and after. */
const DISK_BYTES = 16 * 1024 * 1024;
/** Fills a pipe or a disk to the brim, and is told from the log by what it begins with. */
const FILLER = `filler ${'x'.repeat(500)}\n`;

/** A reader that is stopped (SIGSTOP) while the pipe is full, or one that is killed and replaced. */
export class BrokenPipe implements LogFault {
  readonly #fifo: string;
  readonly #file: string;
  #reader: LabProcess;
  readonly #writer: number;

  constructor(
    readonly name: 'a stopped reader' | 'no reader',
    private readonly host: Host,
    directory: string,
  ) {
    mkdirSync(directory);
    this.#fifo = join(directory, 'fifo');
    this.#file = join(directory, 'log');
    execFileSync('mkfifo', [this.#fifo]);
    this.#reader = this.#read();
    // Waits until the reader has opened it.
    this.#writer = openSync(this.#fifo, 'w');
  }

  start(host: Host, argv: readonly string[]): LabProcess {
    return host.spawn(argv, { stdio: ['ignore', this.#writer, 'pipe'] });
  }

  async begin(): Promise<void> {
    if (this.name === 'no reader') {
      closeSync(this.#writer);
      this.#reader.kill('SIGKILL');
      await this.#reader.exited;
      return;
    }
    this.#reader.kill('SIGSTOP');
    this.#fill();
    closeSync(this.#writer);
  }

  end(): void {
    if (this.name === 'no reader') this.#reader = this.#read();
    else this.#reader.kill('SIGCONT');
  }

  text(): string {
    return existsSync(this.#file) ? readFileSync(this.#file, 'utf8').replaceAll(FILLER, '') : '';
  }

  #read(): LabProcess {
    return this.host.spawn(['sh', '-c', 'exec cat "$0" >> "$1"', this.#fifo, this.#file]);
  }

  #fill(): void {
    fill(openSync(this.#fifo, constants.O_WRONLY | constants.O_NONBLOCK), 'EAGAIN');
  }
}

/** A tmpfs of the program's own, which another file fills. */
export class FullDisk implements LogFault {
  readonly name = 'a full disk';
  #log = 0;
  #filler = '';

  constructor(private readonly directory: string) {
    mkdirSync(directory);
  }

  start(host: Host, argv: readonly string[]): LabProcess {
    // In a mount namespace of its own, which goes with the program.
    const script = `mount -t tmpfs -o size=${DISK_BYTES} none "$0" && exec "$@" >> "$0/log"`;
    const started = host.spawn(['unshare', '-m', 'sh', '-c', script, this.directory, ...argv]);
    this.#filler = `/proc/${started.pid}/root${this.directory}/filler`;
    return started;
  }

  begin(): Promise<void> {
    // A descriptor reads on when the program and its mount are gone.
    this.#log = openSync(join(dirname(this.#filler), 'log'), 'r');
    fill(openSync(this.#filler, 'w'), 'ENOSPC');
    return Promise.resolve();
  }

  end(): void {
    rmSync(this.#filler);
  }

  text(): string {
    const bytes = Buffer.alloc(DISK_BYTES);
    return bytes.toString('utf8', 0, readSync(this.#log, bytes, 0, bytes.length, 0));
  }
}

/** Writes until the descriptor takes no more, and closes it. */
function fill(fd: number, until: 'EAGAIN' | 'ENOSPC'): void {
  try {
    for (;;) writeSync(fd, FILLER);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== until) throw error;
  } finally {
    closeSync(fd);
  }
}
