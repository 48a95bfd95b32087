import { FLOW_BYTES } from '../kernel/flow';
import type { FlowRecord, HandoffId } from '../steer/flow-table';
import * as frames from './frames';
import { readWish, wishLength, type Wish } from './hand-back';
import { readDetails, type HandoffDetails } from './handoff-details';

/** Reads the id that begins a payload. */
export function readId(bytes: Buffer, offset: number, length: number): HandoffId {
  if (length < frames.ID_BYTES) throw new frames.ProtocolError('frame without an id');
  return { epoch: bytes.readUInt32BE(offset), sequence: bytes.readUInt32BE(offset + 4) };
}

/** Reads a COMMIT, with details or without. */
export function readCommit(
  bytes: Buffer,
  offset: number,
  length: number,
): { readonly id: HandoffId; readonly details: HandoffDetails | undefined } {
  const id = readId(bytes, offset, length);
  const more = length - frames.ID_BYTES;
  return { id, details: more === 0 ? undefined : readDetails(bytes, offset + frames.ID_BYTES, more) };
}

/**
 * Reads what follows the id of a REJECTED, a RETURNED or a KEPT: one of `reasons`. Later peers may have more of them, and a
 * frame without any has none.
 */
export function readReason<R extends string>(
  bytes: Buffer,
  offset: number,
  length: number,
  reasons: readonly R[],
): R | 'unspecified' {
  // Behind the payload lies another frame, or what an earlier one has left.
  const reason = length > frames.ID_BYTES ? bytes.readUInt8(offset + frames.ID_BYTES) : 0;
  return reasons[reason] ?? 'unspecified';
}

/** A HANDBACK or RESERVE: whose it is, what is wanted, and where in `bytes` the snapshot begins. */
export interface HandBack {
  readonly id: HandoffId;
  readonly wish: Wish;
  readonly snapshotAt: number;
}

/** Throws a ProtocolError. */
export function readHandBack(bytes: Buffer, offset: number, length: number): HandBack {
  const id = readId(bytes, offset, length);
  const wish = readWish(bytes, offset + frames.ID_BYTES, offset + length);
  return { id, wish, snapshotAt: offset + frames.ID_BYTES + wishLength(wish) };
}

/** A LEAVE or APPEND; the octets are a part of `bytes`. Throws a ProtocolError. */
export function readOctets(
  bytes: Buffer,
  offset: number,
  length: number,
): { readonly id: HandoffId; readonly octets: Buffer } {
  const id = readId(bytes, offset, length);
  return { id, octets: bytes.subarray(offset + frames.ID_BYTES, offset + length) };
}

/** A MOVE: which connection, and what is wanted. Throws a ProtocolError. */
export function readMove(
  bytes: Buffer,
  offset: number,
  length: number,
): FlowRecord & { readonly wish: Wish } {
  if (length < frames.FLOW_RECORD_BYTES) throw new frames.ProtocolError('a move of no flow');
  const idAt = offset + FLOW_BYTES;
  const flow = Buffer.from(bytes.subarray(offset, idAt));
  const wish = readWish(bytes, offset + frames.FLOW_RECORD_BYTES, offset + length);
  return { flow, id: readId(bytes, idAt, frames.ID_BYTES), wish };
}

/** Reads a payload, or the rest of one, that is a list of flows with their ids. */
export function readFlows(bytes: Buffer, offset: number, length: number): FlowRecord[] {
  if (length < 0 || length % frames.FLOW_RECORD_BYTES !== 0)
    throw new frames.ProtocolError('flow list of odd length');
  const records: FlowRecord[] = [];
  for (let at = offset; at < offset + length; at += frames.FLOW_RECORD_BYTES) {
    const idAt = at + frames.FLOW_RECORD_BYTES - frames.ID_BYTES;
    records.push({ flow: Buffer.from(bytes.subarray(at, idAt)), id: readId(bytes, idAt, frames.ID_BYTES) });
  }
  return records;
}
