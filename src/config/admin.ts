import { isAbsolute, resolve } from 'node:path';
import { parseEndpoint } from './addresses';
import { isFile } from './files';
import type { AdminConfig, AdminListen, Endpoint } from './model';
import type { ProblemReport } from './problems';

/** The `admin` mapping as written. */
interface AdminInput {
  readonly listen: string;
  readonly token_file?: string;
}

const SOCKET_PREFIX = 'unix:';
/** sun_path of unix(7) has 108 bytes with the final NUL; a socket is made under a longer name and then gets its own. */
const MAX_SOCKET_PATH_BYTES = 96;

/** Where an admin API listens as it may be written: `ADDRESS:PORT`, or `unix:/PATH` with an absolute path. */
export function isAdminListen(text: string): boolean {
  const path = socketPath(text);
  if (path === undefined) return parseEndpoint(text) !== undefined;
  // The name must be one that the kernel takes whole: a NUL would end it.
  const whole = Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES && !path.includes('\0');
  return whole && isAbsolute(path) && !path.endsWith('/');
}

export function checkAdmin(
  { listen, token_file }: AdminInput,
  directory: string,
  report: ProblemReport,
): void {
  if (token_file === undefined && !isPrivate(parseListen(listen))) {
    const others =
      'others can reach this address: set admin.token_file, or listen on 127.0.0.1 or unix:/PATH';
    report.add(['admin', 'listen'], others);
  }
  if (token_file !== undefined && !isFile(resolve(directory, token_file))) {
    const file = JSON.stringify(resolve(directory, token_file));
    report.add(
      ['admin', 'token_file'],
      `there is no file ${file}: make one with (umask 077; openssl rand -hex 32 > FILE)`,
    );
  }
}

export function normaliseAdmin({ listen, token_file }: AdminInput, directory: string): AdminConfig {
  const parsed = parseListen(listen);
  if (parsed === undefined) throw new Error('normalise: the configuration has not been checked');
  return {
    listen: parsed,
    ...(token_file !== undefined && { token_file: resolve(directory, token_file) }),
  };
}

/** Whether only this host can reach an address: loopback (127.0.0.0/8 and ::1) or a Unix socket. */
export function isPrivate(listen: AdminListen | undefined): boolean {
  if (listen === undefined) return false;
  return 'socket' in listen || isLoopback(listen);
}

function isLoopback({ host, family }: Endpoint): boolean {
  return family === 4 ? host.startsWith('127.') : host === '::1';
}

function parseListen(text: string): AdminListen | undefined {
  const socket = socketPath(text);
  return socket === undefined ? parseEndpoint(text) : { socket };
}

function socketPath(text: string): string | undefined {
  return text.startsWith(SOCKET_PREFIX) ? text.slice(SOCKET_PREFIX.length) : undefined;
}
