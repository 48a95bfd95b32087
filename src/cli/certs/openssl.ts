import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Making a key and a signature takes milliseconds; a machine without entropy may make it wait. */
const TIMEOUT_MS = 30_000;

/** Runs the openssl program in a directory; throws an Error with what it said. */
export async function openssl(directory: string, args: readonly string[]): Promise<void> {
  try {
    // OPENSSL_CONF and the like must not change what is made.
    const env = { PATH: process.env.PATH };
    await run('openssl', args, { cwd: directory, timeout: TIMEOUT_MS, env });
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { readonly stderr?: string };
    // A missing directory is the same code.
    if (code === 'ENOENT')
      throw new Error('the program openssl is missing: apt-get install openssl', { cause: error });
    const said = stderr?.trim() || (error as Error).message;
    throw new Error(`openssl ${args[0] ?? ''}: ${said}`, { cause: error });
  }
}
