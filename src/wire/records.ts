import type { FlowRecord, HandoffId } from '../steer/flow-table';
import * as frames from './frames';
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

/** Reads what follows the id of a REJECTED. Later agents may have more reasons, and one without any has none. */
export function readReason(bytes: Buffer, offset: number, length: number): frames.RejectReason {
  // Behind the payload lies another frame, or what an earlier one has left.
  const reason = length > frames.ID_BYTES ? bytes.readUInt8(offset + frames.ID_BYTES) : 0;
  return frames.REJECT_REASONS[reason] ?? 'unspecified';
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
