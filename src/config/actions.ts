import { Type } from '@sinclair/typebox';
import { HASH_KEY, listOf, mapOf, mapping, name, text, TOKEN } from './fields';

/** What a route does with the requests that it matches, as written: the keys of a route beside `match`. */

/** Of a body that is written out in a configuration: more is a file's and a server's business. */
export const MAX_BODY_BYTES = 65_536;
/** Of the fields that a route sets, removes or answers with. */
const MAX_FIELDS = 32;

export const HEADER_NAME = text('Field name, in any case.', 'a header name', {
  pattern: `^${TOKEN}$`,
});
/** ASCII alone: what other octets mean is each recipient's own idea. */
const SET_VALUE = text('Field value.', 'a header value of printable ASCII', {
  pattern: '^[!-~]([ -~]*[!-~])?$',
});

const fieldMap = (description: string) =>
  mapOf(description, HEADER_NAME, SET_VALUE, { maxProperties: MAX_FIELDS });

const status = (description: string, minimum: number, fallback?: number) =>
  Type.Integer({
    minimum,
    maximum: 599,
    description,
    expected: `a status from ${minimum} to 599`,
    ...(fallback !== undefined && { default: fallback }),
  });

const SHARE = Type.Integer({
  minimum: 0,
  maximum: 1000,
  description: 'Share of the requests, relative to the other pools; 0 takes none.',
  expected: 'a whole number from 0 to 1000',
});

const SPLIT = mapping('Pools that share the requests.', {
  pools: mapOf('Pools and their shares.', name('Name of the pool.'), SHARE, { minProperties: 1 }),
  by: Type.Optional(
    text(
      'What keeps requests together; chance decides without it, and the client (its address) where a request has no such header or cookie.',
      'client, header:NAME, cookie:NAME or path',
      { pattern: HASH_KEY },
    ),
  ),
});

const RESPOND = mapping('An answer that the front gives itself.', {
  status: status('Status of the answer.', 200, 200),
  headers: Type.Optional(fieldMap('Fields of the answer; a body without a Content-Type here is text/plain.')),
  body: Type.Optional(text('Body of the answer.', 'a text of 64 KiB at most', { maxLength: MAX_BODY_BYTES })),
});

const REDIRECT = mapping('A redirect that the front answers with.', {
  to: text('Where to: {host}, {path} and {query} are those of the request, {query} with its "?".', 'a URL', {
    minLength: 1,
  }),
  status: Type.Unsafe<301 | 302 | 303 | 307 | 308>({
    type: 'integer',
    enum: [301, 302, 303, 307, 308],
    default: 308,
    description: 'Status of the redirect.',
    expected: 'one of 301, 302, 303, 307, 308',
  }),
});

const DENY = mapping('A refusal that the front answers with.', {
  status: status('Status of the refusal.', 400, 403),
});

/** Exactly one of these. */
export const ACTIONS = {
  pool: Type.Optional(name('Name of the pool that serves the requests.')),
  split: Type.Optional(SPLIT),
  respond: Type.Optional(RESPOND),
  redirect: Type.Optional(REDIRECT),
  deny: Type.Optional(DENY),
};

/** For `pool` and `split`. */
export const EDITS = {
  set_headers: Type.Optional(
    fieldMap(
      'Fields to set, each in place of all fields of its name. An agent with `serve.upstream` writes X-Forwarded-Proto and X-Forwarded-Host itself.',
    ),
  ),
  remove_headers: Type.Optional(listOf('Fields to remove.', HEADER_NAME, MAX_FIELDS)),
  strip_prefix: Type.Optional(
    text(
      'What is cut off at the beginning of the path, in whole segments; every match must have it.',
      'a path that starts with "/" and does not end with it',
      { pattern: '^/[^\\s?#]*[^\\s?#/]$' },
    ),
  ),
  request_id: Type.Optional(
    text(
      'Field that gets an id of the request: what the client sent there, if it can be one, or a new one.',
      'a header name',
      {
        pattern: `^${TOKEN}$`,
      },
    ),
  ),
};
