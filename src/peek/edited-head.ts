/**
 * The head that a backend gets, made of the head that the client sent by what its route says:
 *
 *   GET /api/a?b HTTP/1.1                       GET /a?b HTTP/1.1
 *   Host: example.com                           Host: example.com
 *   X-Tenant: forged                            X-Request-Id: 0123...
 *   Connection: keep-alive, X-Tenant     ->     X-Tenant: gold
 *   X-Debug: 1                                  Connection: keep-alive
 *
 * A client may name a field in Connection, and a relay behind the backend would then take that for a matter of this
 * connection and not pass it on (RFC 9110 section 7.6.1). What a route sets must not be removed so: its names go from there.
 */
import { closingLine, leftByClosing, longestClosingHead, optionsOf } from './closing-head';
import { copyHead, LINE_END } from './copied-head';
import type { HeadChanges } from './head';
import type { Http1Peek } from './http1';

/**
 * What the changes of one route may add to a head: the fields that it sets and an id, and half of what Node's servers take
 * for a whole head. Who reads edited heads has room for both.
 */
export const MOST_ADDED_FIELDS = 33;
export const MOST_ADDED_BYTES = 8192;

/** The longest head that can become of one of `headBytes`, closing or not, by changes that add `addedBytes` of lines. */
export function longestEditedHead(headBytes: number, addedBytes: number): number {
  return longestClosingHead(headBytes) + addedBytes;
}

/**
 * Writes the edited head of the head that `head` has read from `bytes` to the beginning of `into`, which must have room for
 * longestEditedHead(); returns its length. `closing`: it is that of a connection's only request, too (closing-head.ts).
 */
export function writeEditedHead(
  head: Http1Peek,
  bytes: Buffer,
  into: Buffer,
  { path, set, without }: HeadChanges,
  closing: boolean,
): number {
  const added = set.map(([name, value]) => `${name}: ${value}${LINE_END}`).join('');
  if (closing) {
    const left = [...without, ...leftByClosing(head)];
    return copyHead(head, bytes, into, { without: left, added: added + closingLine(head, without), path });
  }
  const options = optionsOf(head);
  const kept = options.filter((option) => !without.includes(option.toLowerCase()));
  if (kept.length === options.length) return copyHead(head, bytes, into, { without, added, path });
  const line = kept.length === 0 ? '' : `Connection: ${kept.join(', ')}${LINE_END}`;
  return copyHead(head, bytes, into, { without: [...without, 'connection'], added: added + line, path });
}
