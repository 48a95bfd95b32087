/**
 * What an agent may want to know of a handoff, for its access log; the part of a COMMIT behind the id:
 *
 *   0  4  microseconds from the complete head to this COMMIT; 2^32 - 1 for that and more
 *   4  1  length of the route's name
 *   5     name of the route
 *         name of the pool, to the end
 *
 * A front sends it where the agent's HELLO asks for `details`, and only there.
 */
import { ProtocolError } from './frames';

export interface HandoffDetails {
  readonly micros: number;
  /** The route's name in the front's configuration; one without is called after its pool and its place: `web#3`. */
  readonly route: string;
  readonly pool: string;
}

const ROUTE = /^[A-Za-z0-9._#-]{1,72}$/;
const POOL = /^[A-Za-z0-9._-]{1,64}$/;
const MOST_MICROS = 0xffffffff;
const NAMES = 4;

/** The two names as they stand in every COMMIT of a route and pool. */
export function encodeNames(route: string, pool: string): Buffer {
  return Buffer.from(`${String.fromCharCode(route.length)}${route}${pool}`, 'latin1');
}

/** `names` as `encodeNames` has them. */
export function writeDetails(ms: number, names: Buffer, into: Buffer, at: number): void {
  into.writeUInt32BE(Math.min(Math.round(ms * 1000), MOST_MICROS), at);
  names.copy(into, at + NAMES);
}

/** Bytes of the details with these names. */
export function detailsLength(names: Buffer): number {
  return NAMES + names.length;
}

/** Throws a ProtocolError. */
export function readDetails(bytes: Buffer, offset: number, length: number): HandoffDetails {
  const end = offset + length;
  const names = offset + NAMES + 1;
  if (names > end) throw new ProtocolError('details of a handoff without names');
  const poolAt = names + bytes.readUInt8(names - 1);
  const route = bytes.toString('latin1', names, Math.min(poolAt, end));
  const pool = bytes.toString('latin1', Math.min(poolAt, end), end);
  if (!ROUTE.test(route) || !POOL.test(pool))
    throw new ProtocolError('details of a handoff with names that are none');
  return { micros: bytes.readUInt32BE(offset), route, pool };
}
