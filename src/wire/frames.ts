/**
 * The control protocol between a front and an agent: frames over a reliable byte stream, integers in network order.
 *
 *   0  4  length of the payload
 *   4  1  frame type
 *   5     payload
 *
 *   front                                 agent
 *     HELLO (versions, node, role)  --->
 *                                   <---  HELLO (versions, node, VIPs, limits)
 *                                   <---  FLOWS ...          only to a `keeper`: every live flow
 *     OFFER id snapshot             --->
 *                                   <---  PREPARED id        or REJECTED id reason
 *     COMMIT id (details)           --->                     or ABORT id: the front keeps the connection
 *                                   <---  CLOSED (flow id)*  only to a `keeper`
 *                                   <---  VOID (flow id)*    only to a `keeper`: a copy that was prepared and never
 *                                                            lived, because its channel broke or it could not
 *     LIST                          --->                     only from a `keeper`: FLOWS once more
 *                                   <---  REPORT             only to who asks for it in its HELLO: how busy the agent is
 *     ROUTES table                  --->                     how later requests are judged (routing-table.ts)
 *                                   <---  HANDBACK id ... snapshot   a live connection is to go elsewhere (hand-back.ts)
 *                                   <---  SETTLED id         nothing has slipped in since its snapshot was made
 *     TAKEN id                      --->                     it lives elsewhere; or RETURNED id reason: it stays
 *                                   <---  WITHDRAWN id       instead of SETTLED: it stays
 *                                   <---  RESERVE id ... snapshot    a live connection will go elsewhere, and goes on as yet
 *     RESERVED id                   --->                     another agent has it prepared; or RETURNED id reason
 *                                   <---  LEAVE id octets    what has come since the snapshot; nothing else will, or WITHDRAWN
 *     APPEND id octets              --->                     to the agent that has it prepared, before the COMMIT
 *     MOVE (flow id) reason backend --->                     hand that one back
 *                                   <---  KEPT id reason     no, it stays
 *     PING / PONG                   <-->
 *     BYE text                      <-->                     last words before closing
 *
 * `id` is 8 bytes: epoch, sequence (steer/flow-table.ts, HandoffId). The details of a COMMIT (handoff-details.ts) go to
 * agents that ask for them in their HELLO. The first frame of each side is HELLO, the only one in JSON: it is read once,
 * and people debug it.
 */
import { FLOW_BYTES } from '../kernel/flow';
import { MAX_QUEUE_BYTES, MAX_STATE_BYTES, HEADER_BYTES as SNAPSHOT_HEADER_BYTES } from '../repair/layout';

export const PROTOCOL_VERSION = 1;

export const FRAME_HEADER_BYTES = 5;
export const ID_BYTES = 8;
export const FLOW_RECORD_BYTES = FLOW_BYTES + ID_BYTES;

export const HELLO = 1;
export const OFFER = 2;
export const PREPARED = 3;
export const REJECTED = 4;
export const COMMIT = 5;
export const ABORT = 6;
export const CLOSED = 7;
export const FLOWS = 8;
export const PING = 9;
export const PONG = 10;
export const BYE = 11;
export const VOID = 12;
export const LIST = 13;
export const REPORT = 14;
export const ROUTES = 15;
export const HANDBACK = 16;
export const SETTLED = 17;
export const WITHDRAWN = 18;
export const TAKEN = 19;
export const RETURNED = 20;
export const MOVE = 21;
export const KEPT = 22;
export const RESERVE = 23;
export const RESERVED = 24;
export const LEAVE = 25;
export const APPEND = 26;

/** Why an agent refuses an offer; the order is the wire's, new ones are appended. */
export const REJECT_REASONS = [
  'unspecified',
  'not_permitted',
  'vip_not_allowed',
  'vip_not_local',
  'address_in_use',
  'malformed_snapshot',
  'too_many_offers',
  'stopping',
  'kernel',
  'exhausted',
  'no_service',
] as const;
export type RejectReason = (typeof REJECT_REASONS)[number];

export const REPORT_BYTES = 28;
/** Of the details of a COMMIT: a time, and two names with the length of one. */
export const MAX_DETAILS_BYTES = 4 + 1 + 72 + 64;

/** Last words of an agent whose successor has the control port: there is no need to wait before connecting again. */
export const SUCCEEDED = 'a successor takes over';

/** The longest HELLO or BYE: names, versions and a list of VIPs. */
export const MAX_TEXT_BYTES = 64 * 1024;
/** Flow records in one CLOSED, VOID or FLOWS frame: 45 KB, so that an offer never waits long behind them. */
export const MAX_FLOW_RECORDS = 1024;
/** The longest offer: all three queues, and the application's state, at their limit. */
export const MAX_OFFER_BYTES = ID_BYTES + SNAPSHOT_HEADER_BYTES + 3 * MAX_QUEUE_BYTES + MAX_STATE_BYTES;
/** A name of a pool or a backend, behind its length. */
export const MAX_NAME_BYTES = 64;
/** Of a HANDBACK what comes before the snapshot, behind the id: a reason and two names. */
export const MAX_WISH_BYTES = 1 + 2 * (1 + MAX_NAME_BYTES);
/** What may come on a connection that has a place reserved before it leaves. */
export const MAX_APPENDED_BYTES = 64 * 1024;
/** As many routes as a front may have, with what it may have in them. */
export const MAX_ROUTES_BYTES = 8 * 1024 * 1024;

/** The longest payload that a frame of this type may have; 0 for types that are not known. */
export function longestPayload(type: number): number {
  switch (type) {
    case OFFER:
      return MAX_OFFER_BYTES;
    case HANDBACK:
    case RESERVE:
      return MAX_OFFER_BYTES + MAX_WISH_BYTES;
    case ROUTES:
      return MAX_ROUTES_BYTES;
    case HELLO:
    case BYE:
      return MAX_TEXT_BYTES;
    case CLOSED:
    case VOID:
      return MAX_FLOW_RECORDS * FLOW_RECORD_BYTES;
    case FLOWS:
      return 1 + MAX_FLOW_RECORDS * FLOW_RECORD_BYTES;
    case COMMIT:
      return ID_BYTES + MAX_DETAILS_BYTES;
    case PREPARED:
    case ABORT:
    case SETTLED:
    case WITHDRAWN:
    case TAKEN:
    case RESERVED:
      return ID_BYTES;
    case LEAVE:
    case APPEND:
      return ID_BYTES + MAX_APPENDED_BYTES;
    case REJECTED:
    case RETURNED:
    case KEPT:
      return ID_BYTES + 1;
    case MOVE:
      return FLOW_RECORD_BYTES + MAX_WISH_BYTES;
    case REPORT:
      return REPORT_BYTES;
    case PING:
    case PONG:
    case LIST:
      return 4;
    default:
      return 0;
  }
}

/** One frame with a text, for who has no channel. */
export function encodeFrame(type: number, text: string): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + Buffer.byteLength(text));
  frame.writeUInt32BE(frame.length - FRAME_HEADER_BYTES, 0);
  frame[4] = type;
  frame.write(text, FRAME_HEADER_BYTES, 'utf8');
  return frame;
}

/** The peer broke the protocol; the channel is closed with this as its last word. */
export class ProtocolError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ProtocolError';
  }
}
