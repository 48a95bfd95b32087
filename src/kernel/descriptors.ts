/**
 * The limit of open files, shared out: a part is not for clients' connections, so that a process that has as many of those
 * as it can hold still has room for its own files, control channels, health checks, the admin API and a reload.
 */
const RESERVED_SHARE = 1 / 8;
/** Some fifty files of the process itself, a few channels per agent and thread, some scrapers, a second generation. */
const LEAST_RESERVED = 128;
/** Where the limit is as low as that, connections get half. */
const MOST_RESERVED_SHARE = 1 / 2;

/** How many of the `files` that a process may have open are for clients' connections. */
export function unreserved(files: number): number {
  const wanted = Math.max(LEAST_RESERVED, Math.ceil(files * RESERVED_SHARE));
  return files - Math.min(wanted, Math.ceil(files * MOST_RESERVED_SHARE));
}
