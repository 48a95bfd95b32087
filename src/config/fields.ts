import { Type } from '@sinclair/typebox';
import type { Static, TObject, TProperties, TSchema, TUnsafe } from '@sinclair/typebox';
import { DURATION_SPELLING } from './durations';

/**
 * The vocabulary of the schemas. Beside JSON Schema, a field has `description` (the reference page is made of them),
 * `format` (checked by the parsers of this room) and `expected` (what a message says the value should have been).
 *
 * A key with a `default` counts as required in the types: the validator fills it in before it looks.
 */

/** Backends are checked one by one and lists within a route are tried in turn, so no list may grow without a bound. */
const MAX_LIST = 1024;
/** Long enough for any path or header value that somebody would route by. */
const MAX_TEXT = 1024;

/** A name of a header field or cookie (RFC 9110 section 5.6.2, RFC 6265 section 4.1.1), of bounded length: part of a pattern. */
export const TOKEN = "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}";
/** How it is said what a key is hashed of (balance/hash-key.ts): a pattern. */
export const HASH_KEY = `^(client|path|(header|cookie):${TOKEN})$`;

/** A mapping with these keys and no others. */
export function mapping<P extends TProperties>(description: string, properties: P, options: object = {}) {
  return Type.Object(properties, { description, additionalProperties: false, ...options });
}

/** A mapping all of whose keys may be left out, and so the mapping itself. */
export function settings<P extends TProperties>(description: string, properties: P) {
  return mapping(description, properties, { default: {} });
}

/** A mapping from names that the operator chooses. */
export function mapOf<T extends TSchema>(description: string, key: TSchema, value: T, options: object = {}) {
  return Type.Unsafe<Record<string, Static<T>>>({
    type: 'object',
    propertyNames: key,
    additionalProperties: value,
    maxProperties: MAX_LIST,
    description,
    ...options,
  });
}

/** At least one of something. */
export function listOf<T extends TSchema>(description: string, items: T, maxItems = MAX_LIST) {
  return Type.Array(items, { description, minItems: 1, maxItems });
}

/** One text, or a list of them; a union of types and not `anyOf`, so that each wrong entry gets its own message. */
export function oneOrMore(description: string, item: TUnsafe<string>, options: object = {}) {
  return Type.Unsafe<string | string[]>({
    ...item,
    type: ['string', 'array'],
    items: item,
    minItems: 1,
    maxItems: MAX_LIST,
    description,
    ...options,
  });
}

/** A list, or a mapping in its place; a union of types likewise. */
export function listOrMapping<T extends TSchema, M extends TObject>(
  description: string,
  expected: string,
  items: T,
  instead: M,
) {
  return Type.Unsafe<Static<T>[] | Static<M>>({
    ...instead,
    ...listOf(description, items),
    type: ['array', 'object'],
    expected,
  });
}

/** What a value must be: a text for exactly that, or a mapping; a union of types as in oneOrMore. */
export function valueMatch(
  description: string,
  expected: string,
  regex: TUnsafe<string>,
  options: object = {},
) {
  return Type.Unsafe<string | { regex?: string; present?: boolean }>({
    ...mapping(
      `${description} Exactly this text, or a mapping with one of these keys.`,
      {
        regex: Type.Optional({ ...regex, description: 'Regular expression (RE2) for the whole value.' }),
        present: Type.Optional(
          Type.Boolean({ description: 'Whether there must be one at all, or must be none.' }),
        ),
      },
      { minProperties: 1 },
    ),
    type: ['string', 'object'],
    maxLength: MAX_TEXT,
    ...options,
    expected: `${expected}, { regex: PATTERN } or { present: true }`,
  });
}

export function text(description: string, expected: string, options: object): TUnsafe<string> {
  return Type.Unsafe<string>({ type: 'string', maxLength: MAX_TEXT, description, expected, ...options });
}

/** A name is a metric label, a part of an admin path and a word in logs, so it has no room for surprises. */
export function name(description: string) {
  const expected = 'a name of 1 to 64 letters, digits, ".", "_" or "-"';
  return text(description, expected, { pattern: '^[A-Za-z0-9._-]{1,64}$' });
}

export function file(description: string) {
  return text(description, 'a path', { minLength: 1 });
}

export function choice<const V extends readonly string[]>(
  description: string,
  values: V,
  options: object = {},
) {
  const expected = `one of ${values.join(', ')}`;
  return Type.Unsafe<V[number]>({ type: 'string', enum: values, description, expected, ...options });
}

/** Without a fallback an absent one stays absent. */
export function integer(description: string, minimum: number, maximum: number, fallback?: number) {
  const expected = `a whole number from ${minimum} to ${maximum}`;
  return Type.Integer({
    minimum,
    maximum,
    description,
    expected,
    ...(fallback !== undefined && { default: fallback }),
  });
}

/** A part of a whole, both bounds included. */
export function share(description: string, minimum: number, maximum: number, fallback: number) {
  const expected = `a number from ${minimum} to ${maximum}`;
  return Type.Number({ minimum, maximum, description, expected, default: fallback });
}

/** Status codes of final responses: one or a list, each a code or a range of them. */
export function statuses(description: string, fallback: string) {
  const expected = 'a status from 200 to 599 or a range such as 200-399';
  const bounds = { minimum: 200, maximum: 599, format: 'statuses', expected };
  return Type.Unsafe<number | string | (number | string)[]>({
    ...bounds,
    type: ['integer', 'string', 'array'],
    items: { ...bounds, type: ['integer', 'string'], description: 'Status, or range of them.' },
    minItems: 1,
    maxItems: MAX_LIST,
    description,
    default: fallback,
  });
}

/** Without a fallback an absent one stays absent. */
export function duration(description: string, fallback?: string) {
  return text(description, DURATION_SPELLING, {
    format: 'duration',
    ...(fallback !== undefined && { default: fallback }),
  });
}

export function address(description: string) {
  return text(description, 'an IP address', { format: 'address' });
}

export function vip(description: string) {
  return text(description, 'an IP address or ADDRESS:PORT', { format: 'vip' });
}

export function endpoint(description: string, options: object = {}) {
  return text(description, 'ADDRESS:PORT', { format: 'endpoint', ...options });
}

/** What a resolver is asked for. */
export function dnsName(description: string) {
  return text(description, 'a DNS name such as api.internal or _baton._tcp.api.internal', {
    format: 'dns-name',
  });
}

/** Where this process listens for its operator: port 0 lets the kernel choose. */
function adminListen(fallback: string) {
  return text(
    'Address and port of the admin API and the metrics, or `unix:/PATH`; port 0 takes any free port.',
    'ADDRESS:PORT or unix:/PATH',
    { format: 'admin-listen', default: fallback },
  );
}

/** The keys of `admin`, which front and agent have in common. */
export function adminKeys(fallback: string) {
  return {
    listen: adminListen(fallback),
    token_file: Type.Optional(
      file(
        'File with the token that requests show: every POST, and every request on an address that others can reach.',
      ),
    ),
  };
}
