import { execFileSync } from 'node:child_process';

/** Some 200 octets for each of the 8192 routes to ask for at most: two addresses of each of 4096 backends. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** What `ip` has refused. */
export class IpError extends Error {
  constructor(
    /** What it said, in one line where it did. */
    readonly said: string,
    /** Index of the command that it was about; -1 where it did not say, or could not be run. */
    readonly command: number,
    cause: unknown,
  ) {
    super(`ip: ${said}`, { cause });
    this.name = 'IpError';
  }
}

/**
 * Runs commands of `ip` in one process, since one takes milliseconds to start, and returns their output as JSON, a line for
 * each that has any. Throws an IpError at the first that fails; those before it are done. It blocks: for start and reload.
 */
export function ipBatch(commands: readonly string[]): string {
  try {
    return execFileSync('ip', ['-json', '-batch', '-'], {
      encoding: 'utf8',
      stdio: 'pipe',
      input: commands.map((command) => `${command}\n`).join(''),
      maxBuffer: MAX_OUTPUT_BYTES,
    });
  } catch (cause) {
    const output = (cause as { stderr?: string }).stderr?.trim() ?? '';
    // Which line of its input it was follows what it has to say.
    const [, said = output, line] = /^(.*?)\s*Command failed -:(\d+)$/s.exec(output) ?? [];
    throw new IpError(said || String(cause), Number(line ?? 0) - 1, cause);
  }
}
