import { isIPv6 } from 'node:net';

/**
 * The rules for a request head once more, without regard for speed or for bytes that come in pieces: regular expressions
 * over the whole text. Two readers that were written apart do not make the same mistake.
 */
export interface SlowHead {
  readonly length: number;
  readonly method: string;
  /** As sent. */
  readonly target: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly minorVersion: number;
  readonly contentLength: number;
  readonly chunked: boolean;
  readonly upgrade: boolean;
  readonly fields: readonly (readonly [name: string, value: string])[];
}

const TCHAR = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const LINE = new RegExp(`^(${TCHAR}{1,32}) ([!-~]+) HTTP/1\\.([01])$`);
const FIELD = new RegExp(`^(${TCHAR}+):[ \\t]*([\\t\\x20-\\x7e\\x80-\\xff]*?)[ \\t]*$`);
const ORIGIN_FORM = /^(\/[^?#\\]*)(?:\?([^#]*))?$/;
const ABSOLUTE_FORM = /^(https?):\/\/([^/?#]*)(\/[^?#\\]*)?(?:\?([^#]*))?$/i;
const AUTHORITY = /^(?:\[([^\]]*)\]|([-._~!$&'()*+;=0-9A-Za-z]+))(?::(\d*))?$/;

interface Authority {
  readonly host: string;
  readonly port: number | undefined;
}

/** What a head may have. */
export interface HeadLimits {
  readonly bytes: number;
  readonly fields: number;
}

/** The front's own limits, unless it is configured otherwise. */
export const FRONT_LIMITS: HeadLimits = { bytes: 16_384, fields: 100 };

/** The head at the beginning of a text of octets; undefined where there is none that may be accepted. */
export function slowHead(text: string, limits: HeadLimits = FRONT_LIMITS): SlowHead | undefined {
  const start = text.startsWith('\r\n') ? 2 : 0;
  const end = text.indexOf('\r\n\r\n', start);
  if (end < 0 || end + 4 > limits.bytes) return undefined;
  const [first = '', ...lines] = text.slice(start, end).split('\r\n');
  const [, method = '', target = '', minor = ''] = LINE.exec(first) ?? [];
  const fields = lines.map((line) => FIELD.exec(line));
  if (method === '' || method === 'CONNECT' || fields.length > limits.fields) return undefined;
  if (!fields.every((field) => field !== null)) return undefined;
  const pairs = fields.map(([, name = '', value = '']) => [name.toLowerCase(), value] as const);
  const minorVersion = Number(minor);

  const place = placeOf(method, target, valuesOf(pairs, 'host'), minorVersion);
  const framing = framingOf(
    valuesOf(pairs, 'content-length'),
    valuesOf(pairs, 'transfer-encoding'),
    minorVersion,
  );
  if (place === undefined || framing === undefined) return undefined;
  const upgrade = valuesOf(pairs, 'upgrade').length > 0;
  return { length: end + 4, method, target, minorVersion, upgrade, fields: pairs, ...place, ...framing };
}

/** All lines of a field, joined. */
export function fieldOf({ fields }: SlowHead, name: string): string | undefined {
  const values = valuesOf(fields, name);
  return values.length === 0 ? undefined : values.join(name === 'cookie' ? '; ' : ', ');
}

function valuesOf(fields: SlowHead['fields'], name: string): string[] {
  return fields.filter(([key]) => key === name).map(([, value]) => value);
}

function placeOf(
  method: string,
  target: string,
  hosts: readonly string[],
  minorVersion: number,
): Pick<SlowHead, 'host' | 'path' | 'query'> | undefined {
  if (hosts.length > 1 || (hosts.length === 0 && minorVersion === 1)) return undefined;
  const [field] = hosts;
  const named = field === undefined || field === '' ? undefined : authorityOf(field);
  if (field !== undefined && field !== '' && named === undefined) return undefined;
  const host = named?.host ?? '';

  if (target === '*') return method === 'OPTIONS' ? { host, path: '*', query: '' } : undefined;
  const [origin, path = '', query = ''] = ORIGIN_FORM.exec(target) ?? [];
  if (origin !== undefined) return { host, path, query };

  const absolute = ABSOLUTE_FORM.exec(target);
  const authority = authorityOf(absolute?.[2] ?? '');
  if (absolute === null || authority === undefined || field === '') return undefined;
  const [, scheme = '', , absolutePath = '/', absoluteQuery = ''] = absolute;
  const usual = scheme.toLowerCase() === 'http' ? 80 : 443;
  const agree = named === undefined || sameAuthority(named, authority, usual);
  return agree ? { host: authority.host, path: absolutePath, query: absoluteQuery } : undefined;
}

function authorityOf(text: string): Authority | undefined {
  const match = AUTHORITY.exec(text);
  if (match === null) return undefined;
  const [, literal, name = '', digits = ''] = match;
  if (literal !== undefined && (!isIPv6(literal) || literal.includes('%'))) return undefined;
  const port = digits === '' ? undefined : Number(digits);
  if (port !== undefined && port > 65535) return undefined;
  return { host: (literal ?? name).toLowerCase(), port };
}

function sameAuthority(a: Authority, b: Authority, usualPort: number): boolean {
  return a.host === b.host && (a.port ?? usualPort) === (b.port ?? usualPort);
}

function framingOf(
  lengths: readonly string[],
  codings: readonly string[],
  minorVersion: number,
): Pick<SlowHead, 'contentLength' | 'chunked'> | undefined {
  if (lengths.length + codings.length > 1) return undefined;
  const [length] = lengths;
  const [coding] = codings;
  if (length !== undefined && (!/^\d+$/.test(length) || BigInt(length) > 2n ** 53n - 1n)) return undefined;
  if (coding !== undefined && (!/^chunked$/i.test(coding) || minorVersion === 0)) return undefined;
  return { contentLength: length === undefined ? -1 : Number(length), chunked: coding !== undefined };
}

export interface SlowMessage {
  readonly head: SlowHead;
  readonly body: string;
  /** Octets of head and body. */
  readonly length: number;
}

/**
 * The message at the beginning of a text: its head, and the body as the head frames it. `more` where the body goes on
 * behind the text, `bad` where it is chunked and cannot be.
 */
export function slowMessage(
  text: string,
  limits: HeadLimits = FRONT_LIMITS,
): SlowMessage | 'none' | 'more' | 'bad' {
  const head = slowHead(text, limits);
  if (head === undefined) return 'none';
  const rest = text.slice(head.length);
  if (head.chunked) {
    const chunks = slowChunks(rest);
    return typeof chunks === 'string'
      ? chunks
      : { head, body: chunks.body, length: head.length + chunks.length };
  }
  const length = Math.max(0, head.contentLength);
  if (rest.length < length) return 'more';
  return { head, body: rest.slice(0, length), length: head.length + length };
}

const QUOTED = '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"';
const CHUNK_LINE = new RegExp(`^([0-9A-Fa-f]{1,16})((?:;${TCHAR}+(?:=(?:${TCHAR}+|${QUOTED}))?)*)$`);

/** A chunked body as RFC 9112 section 7.1 writes it, without its blanks around extensions. */
function slowChunks(text: string): { readonly body: string; readonly length: number } | 'more' | 'bad' {
  let body = '';
  for (let at = 0; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return 'more';
    const size = CHUNK_LINE.exec(text.slice(at, lineEnd))?.[1];
    if (size === undefined) return 'bad';
    const length = parseInt(size, 16);
    at = lineEnd + 2;
    if (length === 0) {
      const end = endOfTrailers(text, at);
      return typeof end === 'string' ? end : { body, length: end };
    }
    if (text.length < at + length + 2) return 'more';
    body += text.slice(at, at + length);
    if (text.slice(at + length, at + length + 2) !== '\r\n') return 'bad';
    at += length + 2;
  }
}

function endOfTrailers(text: string, start: number): number | 'more' | 'bad' {
  for (let at = start; ;) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return 'more';
    if (lineEnd === at) return at + 2;
    if (!FIELD.test(text.slice(at, lineEnd))) return 'bad';
    at = lineEnd + 2;
  }
}
