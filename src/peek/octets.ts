/**
 * Octets and octet classes of RFC 9110, RFC 9112 and RFC 3986. A class is a table of 256 entries, 1 for a
 * member, so that scanning costs one look-up per octet and no branch per kind of character.
 */
export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const ASTERISK = 0x2a;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const COLON = 0x3a;
export const QUESTION_MARK = 0x3f;
export const LEFT_BRACKET = 0x5b;
export const RIGHT_BRACKET = 0x5d;

const DIGITS = '0123456789';
const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ';

function octetClass(characters: string): Uint8Array {
  const members = new Uint8Array(256);
  for (const character of characters) members[character.charCodeAt(0)] = 1;
  return members;
}

function octetRange(first: number, last: number, except: string): Uint8Array {
  const members = new Uint8Array(256).fill(1, first, last + 1);
  for (const character of except) members[character.charCodeAt(0)] = 0;
  return members;
}

/** tchar (RFC 9110 section 5.6.2): methods and field names. */
export const TOKEN = octetClass(DIGITS + LETTERS + "!#$%&'*+-.^_`|~");
/** A request target is visible ASCII; '#' never goes on the wire (RFC 9112 section 3.2). */
export const TARGET = octetRange(0x21, 0x7e, '#');
/**
 * The part of a request target that ends where the query begins. Without the backslash, which no path may contain
 * (RFC 3986 section 3.3): applications that read a path as browsers do take it for a slash, so `/x\..\admin` would be
 * `/admin` to them and to nobody before them.
 */
export const TARGET_BEFORE_QUERY = octetRange(0x21, 0x7e, '#?\\');
/** field-vchar, SP and HTAB (RFC 9110 section 5.5): no other control octet, least of all NUL, CR and LF. */
export const FIELD_VALUE = octetRange(0x20, 0xff, '\x7f');
FIELD_VALUE[HTAB] = 1;
/** SP and HTAB: optional whitespace (RFC 9110 section 5.6.3). */
export const WHITESPACE = octetClass(' \t');
/**
 * reg-name (RFC 3986 section 3.2.2) without the comma, which hides a list of hosts, and without escapes, which some
 * recipients decode: no client writes a host name with them.
 */
export const REG_NAME = octetClass(DIGITS + LETTERS + "-._~!$&'()*+;=");
/** What an IPv6 address is written with (RFC 3986 section 3.2.2). */
export const IPV6 = octetClass(`${DIGITS}abcdefABCDEF:.`);
export const DIGIT = octetClass(DIGITS);

/** Every octet to itself, except 'A'-'Z' to 'a'-'z'. */
const LOWER_CASE = Uint8Array.from({ length: 256 }, (_, octet) =>
  octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet,
);

/** The value of a hexadecimal digit; -1 for any other octet. */
export function hexValue(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const letter = octet | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}

/** The first offset in [at, limit) whose octet is not of the class; `limit` if there is none. */
export function skip(members: Uint8Array, bytes: Buffer, at: number, limit: number): number {
  while (at < limit && members[bytes[at] as number] === 1) at++;
  return at;
}

/** Whether the octet at `at` is of the class. */
export function isOf(members: Uint8Array, bytes: Buffer, at: number): boolean {
  return members[bytes[at] as number] === 1;
}

/** Whether bytes [start, end) spell `text`, which is ASCII and compared as it is. */
export function equals(bytes: Buffer, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) {
    if (bytes[start + i] !== text.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether bytes [start, end) spell `lowerCase`, which is ASCII in lower case, in whatever case. */
export function equalsIgnoreCase(bytes: Buffer, start: number, end: number, lowerCase: string): boolean {
  if (end - start !== lowerCase.length) return false;
  for (let i = 0; i < lowerCase.length; i++) {
    if (LOWER_CASE[bytes[start + i] as number] !== lowerCase.charCodeAt(i)) return false;
  }
  return true;
}

/** Whether `length` octets at `a` and at `b` are the same, ignoring the case of ASCII letters. */
export function sameIgnoreCase(bytes: Buffer, a: number, b: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    if (LOWER_CASE[bytes[a + i] as number] !== LOWER_CASE[bytes[b + i] as number]) return false;
  }
  return true;
}
