import { spawnSync } from 'node:child_process';

/** Some 200 octets for each of the 8192 routes to ask for at most: two addresses of each of 4096 backends. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** What `ip` has refused. */
export class IpError extends Error {
  constructor(
    /** What it said, in one line where it did. */
    readonly said: string,
    /** Index of the command that it was about; -1 where it did not say, or could not be run. */
    readonly command: number,
    cause?: unknown,
  ) {
    super(`ip: ${said}`, { cause });
    this.name = 'IpError';
  }
}

/** What `ip` says of a line of its input that it refuses, behind the reason. */
const REFUSED = /^(.*)\nCommand failed -:(\d+)$/gm;

/**
 * Runs commands of `ip` in one process, since one takes milliseconds to start, and returns their output as JSON, a line for
 * each that has any. Throws an IpError at the first that fails; those before it are done. It blocks: for start and reload.
 */
export function ipBatch(commands: readonly string[]): string {
  const { status, stdout, stderr } = run([], commands);
  if (status === 0) return stdout;
  const output = stderr.trim();
  // Which line of its input it was follows what it has to say.
  const [, said = output, line] = /^(.*?)\s*Command failed -:(\d+)$/s.exec(output) ?? [];
  throw new IpError(said || `exit code ${String(status)}`, Number(line ?? 0) - 1);
}

/** The same for commands that do not depend on each other: goes on behind one that fails, and says why by its index. */
export function ipEach(commands: readonly string[]): {
  readonly output: string;
  readonly refused: ReadonlyMap<number, string>;
} {
  const { stdout, stderr } = run(['-force'], commands);
  const refused = [...stderr.matchAll(REFUSED)].map(
    ([, reason = '', line]) => [Number(line) - 1, reason] as const,
  );
  return { output: stdout, refused: new Map(refused) };
}

function run(options: readonly string[], commands: readonly string[]) {
  const done = spawnSync('ip', ['-json', ...options, '-batch', '-'], {
    encoding: 'utf8',
    input: commands.map((command) => `${command}\n`).join(''),
    maxBuffer: MAX_OUTPUT_BYTES,
  });
  if (done.error !== undefined)
    throw new IpError(`${done.error.message} (is iproute2 installed?)`, -1, done.error);
  return done;
}
