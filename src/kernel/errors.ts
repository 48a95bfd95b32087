import { constants } from 'node:os';

const NAMES = new Map<number, string>(
  Object.entries(constants.errno)
    // Linux has two names for EAGAIN, and its manual pages speak of this one.
    .filter(([name]) => name !== 'EWOULDBLOCK')
    .map(([name, value]) => [value, name] as const),
);

/** Symbolic name of an errno value, as in errno(3): 1 -> 'EPERM'. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `errno ${errno}`;
}

export const EPERM = constants.errno.EPERM;
export const ENOENT = constants.errno.ENOENT;
export const EINTR = constants.errno.EINTR;
export const EACCES = constants.errno.EACCES;
export const EAGAIN = constants.errno.EAGAIN;
export const EEXIST = constants.errno.EEXIST;
export const EINVAL = constants.errno.EINVAL;
export const E2BIG = constants.errno.E2BIG;
export const EADDRNOTAVAIL = constants.errno.EADDRNOTAVAIL;
export const ESTALE = constants.errno.ESTALE;
export const EADDRINUSE = constants.errno.EADDRINUSE;

/** Out of descriptors: this process, or this host. */
export const OUT_OF_FILES: ReadonlySet<number> = new Set([constants.errno.EMFILE, constants.errno.ENFILE]);

/** What says that this host, not one connection, has run short: descriptors, memory. */
export const EXHAUSTED: ReadonlySet<number> = new Set([
  ...OUT_OF_FILES,
  constants.errno.ENOMEM,
  constants.errno.ENOBUFS,
]);

/** A system call that failed where failing is exceptional: `step` says what was being done. */
export class KernelError extends Error {
  readonly code: string;

  constructor(
    readonly step: string,
    readonly errno: number,
    hint = '',
  ) {
    super(`${step}: ${errnoName(errno)}${hint === '' ? '' : ` (${hint})`}`);
    this.name = 'KernelError';
    this.code = errnoName(errno);
  }
}

/** Passes a non-negative result through; turns `-errno` into a KernelError that names the step. */
export function must(result: number, step: string): number {
  if (result < 0) throw new KernelError(step, -result);
  return result;
}
