import { unreserved } from '../kernel/descriptors';

/** What a front has room for. */
export interface Capacity {
  /** Connections that may be in its hands at once, over all accepting threads. */
  readonly connections: number;
  /** Descriptors that those may take, with their connections to origins and what is on its way out. */
  readonly files: number;
}

/** The capacity of a front that may have `files` open and shall hold `wanted` connections (limits.connections). */
export function capacityOf(files: number, wanted: number): Capacity {
  const usable = unreserved(files);
  return { connections: Math.min(wanted, usable), files: usable };
}

/** One accepting thread's part of it. */
export function shareOf({ connections, files }: Capacity, threads: number): Capacity {
  const share = (whole: number): number => Math.max(1, Math.floor(whole / threads));
  return { connections: share(connections), files: share(files) };
}
