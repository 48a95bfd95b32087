import { type ChildProcess, spawn, type StdioOptions } from 'node:child_process';
import type { Readable } from 'node:stream';
import { OutputLines, type LinePredicate } from './output-lines';
import { OutputTail } from './output-tail';

export type { LinePredicate };

export interface SpawnOptions {
  /** Variables beside those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** By default no input, and both outputs kept; an output that is not piped leaves its text empty. */
  readonly stdio?: StdioOptions;
}

/** How a process ended: `code` is null after a signal, `signal` is null without one. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running program, however it was started. */
export interface LabProgram {
  readonly pid: number;
  /** Resolves when the process has ended and its output has been read; never rejects. */
  readonly exited: Promise<Exit>;
  /** What it, and those before it, have written. */
  readonly output: OutputLines;
  /** Its latest lines in the order of their arrival. */
  readonly lines: readonly string[];
  /**
   * Resolves with the first line, past or future, that contains the string, matches the expression or satisfies the
   * function. Rejects after `timeoutMs`, or at once when the process ends without it, with the end of the output.
   */
  waitForLine(predicate: LinePredicate, timeoutMs: number): Promise<string>;
  /** Sends a signal; false where the process has ended. */
  kill(signal: NodeJS.Signals): boolean;
  /** SIGTERM, and SIGKILL after two seconds. */
  stop(): Promise<Exit>;
}

/** A child of the process may hold its outputs open after its end; what the process itself wrote is there by then. */
const OUTPUT_GRACE_MS = 200;

/** Between SIGTERM and SIGKILL. */
export const STOP_GRACE_MS = 2_000;

/** A program that this process has started, its outputs as text (bounded) and as lines. */
export class LabProcess implements LabProgram {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  readonly output = new OutputLines();

  private readonly child: ChildProcess;
  private readonly stdout = new OutputTail();
  private readonly stderr = new OutputTail();

  /** Throws where the program cannot be started. */
  constructor(
    private readonly argv: readonly string[],
    options: SpawnOptions = {},
  ) {
    const [program = '', ...args] = argv;
    const env = { ...process.env, ...options.env };
    const stdio = options.stdio ?? ['ignore', 'pipe', 'pipe'];
    this.child = spawn(program, args, {
      env,
      stdio,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    // Without a listener a failed start would be an uncaught exception; the missing pid reports it.
    this.child.on('error', () => undefined);
    if (this.child.pid === undefined)
      throw new Error(`start ${program}: not found, not allowed or bad directory`);
    this.pid = this.child.pid;
    this.follow(this.child.stdout, this.stdout);
    this.follow(this.child.stderr, this.stderr);
    this.exited = this.whenExited();
  }

  /** Writes to standard input, where that is a pipe. */
  write(text: string): void {
    this.child.stdin?.write(text);
  }

  /** Ends standard input, where that is a pipe. */
  endInput(): void {
    this.child.stdin?.end();
  }

  /** The end of standard output, at most 1 MiB. */
  get stdoutText(): string {
    return this.stdout.text;
  }

  /** The end of standard error, at most 1 MiB. */
  get stderrText(): string {
    return this.stderr.text;
  }

  get lines(): readonly string[] {
    return this.output.latest;
  }

  waitForLine(predicate: LinePredicate, timeoutMs: number): Promise<string> {
    const ended = this.exited.then(
      ({ code, signal }) => `the process ended with ${signal ?? `code ${String(code)}`}`,
    );
    return this.output.waitFor(predicate, timeoutMs, ended, this.argv.join(' '));
  }

  kill(signal: NodeJS.Signals): boolean {
    return this.child.kill(signal);
  }

  async stop(): Promise<Exit> {
    this.kill('SIGTERM');
    // A stopped process sees the SIGTERM only once it goes on.
    this.kill('SIGCONT');
    const timer = setTimeout(() => this.kill('SIGKILL'), STOP_GRACE_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  private follow(stream: Readable | null, output: OutputTail): void {
    stream?.setEncoding('utf8').on('data', (piece: string) => this.output.take(output.feed(piece)));
  }

  private whenExited(): Promise<Exit> {
    return new Promise((resolve) => {
      const settle = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.output.take([...this.stdout.finish(), ...this.stderr.finish()]);
        resolve({ code, signal });
      };
      this.child.once('exit', (code, signal) => {
        const timer = setTimeout(settle, OUTPUT_GRACE_MS, code, signal);
        this.child.once('close', () => {
          clearTimeout(timer);
          settle(code, signal);
        });
      });
    });
  }
}
