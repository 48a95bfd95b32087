import { PassThrough } from 'node:stream';
import type { Command } from '../../src/cli/command';

/** Runs a command with these arguments; its exit code, and what it has written. */
export async function run(command: Command, args: readonly string[]) {
  const stdout = new PassThrough({ encoding: 'utf8' });
  const stderr = new PassThrough({ encoding: 'utf8' });
  const code = await command([...args], { stdout, stderr });
  return {
    code,
    stdout: (stdout.read() as string | null) ?? '',
    stderr: (stderr.read() as string | null) ?? '',
  };
}
