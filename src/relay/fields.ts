import type { IncomingMessage } from 'node:http';
import type { HeadChanges } from '../peek/head';

/** Fields of the connection and not of the message (RFC 9110 section 7.6.1); `trailer` is put back where it holds. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Routing and framing depend on these, so a Connection field that names them is not obeyed. */
const NEVER_HOP_BY_HOP = new Set(['host', 'content-length']);

/** Set by the relay itself, or answered by it (`expect`). */
const REPLACED = new Set(['expect', 'x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host']);

/** A field list as in `IncomingMessage.rawHeaders`: name, value, name, value, in the peer's order and spelling. */
export type RawFields = readonly string[];

/** Calls `visit` for each field; `key` is the name in lower case. */
export function eachField(raw: RawFields, visit: (name: string, value: string, key: string) => void): void {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string;
    visit(name, raw[i + 1] as string, name.toLowerCase());
  }
}

/** The values of all lines of one field; `key` is its name in lower case. */
export function valuesOf(raw: RawFields, key: string): string[] {
  const values: string[] = [];
  eachField(raw, (_name, value, candidate) => {
    if (candidate === key) values.push(value);
  });
  return values;
}

/** The members of a comma-separated field in lower case (RFC 9110 section 5.6.1). */
export function listOf(raw: RawFields, key: string): string[] {
  return valuesOf(raw, key)
    .flatMap((value) => value.toLowerCase().split(','))
    .map((member) => member.trim())
    .filter((member) => member !== '');
}

/** The fields that go on to the next hop. A length beside a transfer coding is void (RFC 9112 section 6.3). */
export function endToEnd(raw: RawFields): string[] {
  const nominated = new Set(listOf(raw, 'connection'));
  const coded = valuesOf(raw, 'transfer-encoding').length > 0;
  const kept: string[] = [];
  eachField(raw, (name, value, key) => {
    if (HOP_BY_HOP.has(key)) return;
    if (nominated.has(key) && !NEVER_HOP_BY_HOP.has(key)) return;
    if (coded && key === 'content-length') return;
    kept.push(name, value);
  });
  return kept;
}

/**
 * The fields of a request for the origin. The relay is the edge that clients talk to, so X-Forwarded-Proto and
 * -Host say what the relay itself saw, whatever was sent; X-Forwarded-For is kept as sent and the peer's address is
 * appended, so only its last member is trustworthy. `host` replaces the Host field where it is given. `changes` have the last
 * word: what they remove is as if it had not been sent, and what they set takes the place of the relay's own fields, too.
 */
export function requestFields(request: IncomingMessage, host?: string, changes?: HeadChanges): string[] {
  const raw = changes ? fieldsWithout(request.rawHeaders, changes.without) : request.rawHeaders;
  const fields: string[] = [];
  const seenHost = host ?? request.headers.host;
  eachField(endToEnd(raw), (name, value, key) => {
    if (REPLACED.has(key)) return;
    fields.push(name, key === 'host' && host !== undefined ? host : value);
  });
  if (host !== undefined && request.headers.host === undefined) fields.push('Host', host);
  // Trailers of the response are passed on, so the client's wish for them holds (RFC 9110 section 10.1.4).
  if (listOf(raw, 'te').includes('trailers')) fields.push('TE', 'trailers');
  const chain = [...valuesOf(raw, 'x-forwarded-for'), clientAddress(request)];
  fields.push('X-Forwarded-For', chain.join(', '), 'X-Forwarded-Proto', 'http');
  if (seenHost !== undefined) fields.push('X-Forwarded-Host', seenHost);
  if (changes === undefined) return fields;
  const names = changes.set.map(([name]) => name.toLowerCase());
  return [...fieldsWithout(fields, names), ...changes.set.flat()];
}

function fieldsWithout(raw: RawFields, keys: readonly string[]): string[] {
  const kept: string[] = [];
  eachField(raw, (name, value, key) => {
    if (!keys.includes(key)) kept.push(name, value);
  });
  return kept;
}

/** An IPv4 client on a dual-stack socket has a mapped address (RFC 4291 section 2.5.5.2); origins know it as IPv4. */
function clientAddress(request: IncomingMessage): string {
  const address = request.socket.remoteAddress ?? 'unknown';
  return address.startsWith('::ffff:') ? address.slice('::ffff:'.length) : address;
}

/** undici hands field lines over as bytes; header octets are Latin-1 to Node in both directions. */
export function decodeFields(raw: readonly Buffer[]): string[] {
  return raw.map((octets) => octets.toString('latin1'));
}
