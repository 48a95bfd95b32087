/**
 * The head of a connection's only request, made of the head that the client sent.
 *
 *   GET /a HTTP/1.1                        GET /a HTTP/1.1
 *   Host: example.com                      Host: example.com
 *   Connection: keep-alive, TE      ->     TE: trailers
 *   Keep-Alive: timeout=5                  Connection: close, TE
 *   TE: trailers
 *
 * A server that gets `close` closes after its response and takes no further request (RFC 9112 section 9.6). Nothing else
 * of the message changes for it. The other options stay: a field that Connection names is meant for this connection and
 * not for what lies behind the server (RFC 9110 section 7.6.1), and without its option a relay would pass it on.
 */
import { copyHead, LINE_END } from './copied-head';
import type { Http1Peek } from './http1';

const CLOSE = 'Connection: close';
/** Field names and options are tokens (RFC 9110 sections 5.6.2 and 7.6.1); what is none names nothing. */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Fields about how long the connection lives. */
const PERSISTENCE = ['connection', 'keep-alive', 'proxy-connection'];
/** Fields that ask for another protocol. */
const UPGRADE = ['upgrade', 'http2-settings'];
const NO_TUNNEL = [...PERSISTENCE, ...UPGRADE];

/**
 * The longest head that can become of one of `headBytes`: a Connection line of single letters and commas grows to twice
 * its length by the blanks, and a head without one gets one more line.
 */
export function longestClosingHead(headBytes: number): number {
  return 2 * headBytes + CLOSE.length + LINE_END.length;
}

/**
 * Writes the closing head of the head that `head` has read from `bytes` to the beginning of `into`, which must have room
 * for longestClosingHead(); returns its length.
 */
export function writeClosingHead(head: Http1Peek, bytes: Buffer, into: Buffer): number {
  return copyHead(head, bytes, into, { without: leftByClosing(head), added: closingLine(head) });
}

/** The fields that a closing head does not take from its original. */
export function leftByClosing(head: Http1Peek): readonly string[] {
  return asksForTunnel(head) ? PERSISTENCE : NO_TUNNEL;
}

/** The Connection line of a closing head, without the options that name one of the fields in `hidden`. */
export function closingLine(head: Http1Peek, hidden: readonly string[] = []): string {
  const left = leftByClosing(head);
  const others = optionsOf(head).filter((option) => {
    const name = option.toLowerCase();
    return name !== 'close' && !left.includes(name) && !hidden.includes(name);
  });
  return [CLOSE, ...others].join(', ') + LINE_END;
}

/** The options of a head's Connection fields, as they are spelled there. */
export function optionsOf(head: Http1Peek): string[] {
  return listOf(head, 'connection').filter((option) => TOKEN.test(option));
}

/**
 * Whether a server may leave HTTP with this request (RFC 9110 section 7.8). It may as well take the request for an
 * ordinary one, which is what becomes of it here:
 *
 * - with a body, which would have to be read first, and which Node's server takes for the other protocol's first bytes;
 * - for h2c, which RFC 9113 section 3.1 withdrew: it would carry any number of requests;
 * - from HTTP/1.0, where RFC 9110 demands it.
 */
export function asksForTunnel(head: Http1Peek): boolean {
  if (!head.upgrade || head.minorVersion === 0 || head.hasBody) return false;
  return includes(listOf(head, 'connection'), 'upgrade') && !includes(listOf(head, 'upgrade'), 'h2c');
}

/** The members of a comma-separated field (RFC 9110 section 5.6.1). */
function listOf(head: Http1Peek, lowerCaseName: string): string[] {
  const members = head.header(lowerCaseName)?.split(',') ?? [];
  return members.map((member) => member.trim()).filter((member) => member !== '');
}

function includes(members: readonly string[], lowerCase: string): boolean {
  return members.some((member) => member.toLowerCase() === lowerCase);
}
