import { execFile } from 'node:child_process';
import { constants } from 'node:os';

/** What a command that ran to its end left behind; a signal counts as 128 plus its number, as in a shell. */
export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecuteOptions {
  /** Milliseconds until the command is killed; 10 s by default, so that no test hangs on a silent peer. */
  readonly timeoutMs?: number;
  /** Text for its standard input, which is closed afterwards. */
  readonly input?: string;
}

const DEFAULT_TIMEOUT_MS = 10_000;

/** Room for a response body of some tens of MB on stdout; more is an error rather than a silent cut. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Runs a command to its end. A bad exit is a result; not starting, too much output or a timeout is an error. */
export function execute(argv: readonly string[], options: ExecuteOptions = {}): Promise<Result> {
  const { timeoutMs = DEFAULT_TIMEOUT_MS, input = '' } = options;
  const [program = '', ...args] = argv;
  const limits = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: MAX_OUTPUT_BYTES } as const;
  return new Promise((resolve, reject) => {
    const child = execFile(program, args, limits, (error, stdout, stderr) => {
      const code = error === null ? 0 : exitCode(error);
      if (code !== undefined) resolve({ code, stdout, stderr });
      else
        reject(new Error(`run ${argv.join(' ')}: ${cause(error, timeoutMs)}\n${stderr}`, { cause: error }));
    });
    // A command may end without reading its input, which then breaks the pipe; its exit code tells all there is to tell.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

type ExecError = NonNullable<Parameters<NonNullable<Parameters<typeof execFile>[3]>>[0]>;

function exitCode(error: ExecError): number | undefined {
  if (typeof error.code === 'number') return error.code;
  if (error.killed === true || !error.signal) return undefined;
  return 128 + constants.signals[error.signal];
}

function cause(error: ExecError | null, timeoutMs: number): string {
  if (error?.killed === true && !error.code) return `not done after ${timeoutMs} ms`;
  return error?.message ?? 'unknown';
}
