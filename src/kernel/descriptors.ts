/**
 * The limit of open files, shared out: some descriptors are not for clients' connections, so that a process that has as
 * many of those as it can hold still has room for control channels, health checks, the admin API, the relay's connections
 * to origins and a reload.
 *
 * The kernel gives out the lowest descriptor that is free (open(2)), so the number of a fresh one says how many are in use
 * without any counting, whoever opened them.
 */
const RESERVED_SHARE = 1 / 8;
/** A few channels per agent and thread, some scrapers, a generation of threads that starts beside the old one. */
const LEAST_RESERVED = 128;
/** Where the limit is as low as that, connections get half. */
const MOST_RESERVED_SHARE = 1 / 2;

/** The first descriptor that is not for clients' connections, of `files` that the process may have open. */
export function firstReserved(files: number): number {
  const wanted = Math.max(LEAST_RESERVED, Math.ceil(files * RESERVED_SHARE));
  return files - Math.min(wanted, Math.ceil(files * MOST_RESERVED_SHARE));
}
