/**
 * A step of the HTTP/1 reader returns the offset behind what it read, or one of the negative codes of this file:
 * plain numbers cost nothing on the way up.
 */
import { CR, LF } from './octets';

/** The bytes end before the step does. */
export const MORE = -1;

/** Every reason to refuse a head, with the status of the answer. */
const STATUS_OF = {
  method: 400,
  connect: 400,
  target: 400,
  version: 400,
  unsupported_version: 505,
  line_end: 400,
  obs_fold: 400,
  field_name: 400,
  field_value: 400,
  host_missing: 400,
  host_duplicate: 400,
  host_invalid: 400,
  host_mismatch: 400,
  content_length: 400,
  transfer_encoding: 400,
  framing_conflict: 400,
  head_too_large: 431,
  too_many_fields: 431,
} as const;

type Refusal = keyof typeof STATUS_OF;

const REFUSALS = Object.keys(STATUS_OF) as Refusal[];

/** Every value that `Http1Peek.reason` can take. */
export const HTTP1_REFUSALS: readonly string[] = REFUSALS;

/** The code of each reason: -2 and below. */
export const REFUSE = Object.fromEntries(REFUSALS.map((reason, i) => [reason, -2 - i])) as Readonly<
  Record<Refusal, number>
>;

export function reasonOf(code: number): Refusal {
  const reason = REFUSALS[-2 - code];
  if (reason === undefined) throw new RangeError(`${code} is not the code of a refusal`);
  return reason;
}

export function statusOf(reason: Refusal): 400 | 431 | 505 {
  return STATUS_OF[reason];
}

/**
 * The step over the CRLF that ends a line. A recipient may accept a bare LF (RFC 9112 section 2.2), but two
 * recipients that disagree about it are how requests are smuggled, so it is refused like a bare CR.
 * `otherwise` is the answer to an octet that neither belongs to the line nor ends it.
 */
export function stepLineEnd(bytes: Buffer, at: number, limit: number, otherwise: number): number {
  if (at >= limit) return MORE;
  if (bytes[at] !== CR) return bytes[at] === LF ? REFUSE.line_end : otherwise;
  if (at + 1 >= limit) return MORE;
  return bytes[at + 1] === LF ? at + 2 : REFUSE.line_end;
}
