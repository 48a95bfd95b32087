import { firstReserved } from '../kernel/descriptors';

/** What a front has room for. */
export interface Capacity {
  /** Connections that may be in its hands at once, over all accepting threads. */
  readonly connections: number;
  /** The first descriptor that is not for clients' connections. */
  readonly reservedFrom: number;
}

/** The capacity of a front that may have `files` open and shall hold `wanted` connections (limits.connections). */
export function capacityOf(files: number, wanted: number): Capacity {
  const reservedFrom = firstReserved(files);
  return { connections: Math.min(wanted, reservedFrom), reservedFrom };
}
