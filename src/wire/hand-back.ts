/**
 * A connection that an agent hands back, because it is to be served elsewhere. The front offers it to another backend by the
 * discipline of a handoff, and the agent keeps its own copy frozen until it hears what has become of it.
 *
 *   agent                          front                                    other agent
 *     freeze, dump
 *     HANDBACK id wish snapshot -->  OFFER id' snapshot                 -->
 *     nothing slipped in?
 *     SETTLED id                -->                 <--  PREPARED id'
 *                                    steer, and with that the commit point
 *     release                   <--  TAKEN id   COMMIT id'              -->
 *     thaw, serve               <--  RETURNED id reason                     where nobody takes it
 *
 * Up to SETTLED the agent may take it back (WITHDRAWN), from there on the front alone decides. Where the channel is lost
 * between the two the agent cannot know, and lets go: there is at most one live copy of a connection at any time.
 *
 * Where a connection is idle a place is reserved for it while it goes on, and it is frozen for two messages only:
 *
 *     dump
 *     RESERVE id wish snapshot  -->  OFFER id' snapshot                 -->
 *     waits for its next request     RESERVED id   <--                  <--  PREPARED id'
 *     freeze, nothing slipped in?
 *     LEAVE id octets           -->  steer, and with that the commit point
 *     release                   <--  TAKEN id      APPEND id' octets, COMMIT id' -->
 *
 * The octets are what has come since the snapshot. Where they belong elsewhere the front goes on as for a HANDBACK with all of
 * it. Up to LEAVE the agent may say WITHDRAWN, and the front RETURNED; whoever says WITHDRAWN waits for that.
 *
 * The wish, in a HANDBACK or RESERVE behind the id and in a MOVE behind the flow and its id:
 *
 *   0  1  reason
 *   1  1  length of the pool's name
 *   2     name of the pool that the connection belongs to; '' where the agent does not know
 *      1  length of the backend's name
 *         name of the backend that is to have it; '' for any other one
 */
import { MAX_NAME_BYTES, ProtocolError } from './frames';

/** Why a connection is to go elsewhere; the order is the wire's, new ones are appended. */
export const MOVE_REASONS = ['route', 'drain', 'move', 'rebalance', 'detach'] as const;
export type MoveReason = (typeof MOVE_REASONS)[number];

/** Why the front gives a connection back to its agent; the order is the wire's. */
export const RETURN_REASONS = [
  'unspecified',
  'same_backend',
  'not_steered',
  'no_route',
  'answered',
  'no_backend',
  'refused',
  'table_full',
  'stopping',
  'malformed',
] as const;
export type ReturnReason = (typeof RETURN_REASONS)[number];

/** Why an agent does not hand back a connection that it was asked for; the order is the wire's. */
export const KEEP_REASONS = ['unspecified', 'unknown', 'busy', 'upgraded', 'closing', 'refused'] as const;
export type KeepReason = (typeof KEEP_REASONS)[number];

export interface Wish {
  readonly reason: MoveReason;
  readonly pool: string;
  readonly backend: string;
}

const NAME = /^[A-Za-z0-9._-]{0,64}$/;

/** Bytes of a wish. */
export function wishLength({ pool, backend }: Wish): number {
  return 3 + pool.length + backend.length;
}

export function writeWish({ reason, pool, backend }: Wish, into: Buffer, at: number): void {
  into[at] = MOVE_REASONS.indexOf(reason);
  into[at + 1] = pool.length;
  into.write(pool, at + 2, 'latin1');
  const backendAt = at + 2 + pool.length;
  into[backendAt] = backend.length;
  into.write(backend, backendAt + 1, 'latin1');
}

/** Reads a wish from a payload that ends at `end`; throws a ProtocolError. */
export function readWish(bytes: Buffer, at: number, end: number): Wish {
  const pool = readName(bytes, at + 1, end);
  const backend = readName(bytes, at + 2 + pool.length, end);
  const reason = MOVE_REASONS[bytes.readUInt8(at)];
  if (reason === undefined) throw new ProtocolError('a wish for an unknown reason');
  return { reason, pool, backend };
}

function readName(bytes: Buffer, at: number, end: number): string {
  const length = at < end ? bytes.readUInt8(at) : Infinity;
  if (length > MAX_NAME_BYTES || at + 1 + length > end) throw new ProtocolError('a wish that is cut short');
  const name = bytes.toString('latin1', at + 1, at + 1 + length);
  if (!NAME.test(name)) throw new ProtocolError('a wish with a name that is none');
  return name;
}
