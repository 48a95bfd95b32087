import { Type } from '@sinclair/typebox';
import { HEADER_NAME } from './actions';
import { mapOf, mapping, name, oneOrMore, text, valueMatch, TOKEN } from './fields';

/** What routes tell requests, and connections without any, by. */

const HOST = text('Host.', 'a host such as api.example.com or *.example.com', { format: 'host-pattern' });
const PATH = text('Path.', 'a path that starts with "/"', { pattern: '^/[!"$->@-\\[\\]-~]*$' });
// Methods are case-sensitive (RFC 9110 section 9.1), so one in lower case would never match.
const METHOD = text('Method.', 'a method in capitals', { pattern: '^[A-Z][A-Z0-9_-]{0,31}$' });
// Checked for sense in front-rules.ts, where the engine's reason can be given.
const REGEX = text('Regular expression (RE2).', 'a regular expression', { minLength: 1 });
const COOKIE_NAME = text('Name of a cookie.', 'a cookie name', {
  pattern: `^${TOKEN}$`,
});
const PARAMETER_NAME = text('Name of a parameter, not percent-encoded.', 'a parameter name', {
  minLength: 1,
});

const HEADER_VALUE = valueMatch('Value of a header field.', 'a header value', REGEX, {
  pattern: '^[^\\s\\p{Cc}]([^\\p{Cc}]*[^\\s\\p{Cc}])?$',
});
// A semicolon, or a blank at either end, is never part of one.
const COOKIE_VALUE = valueMatch('Value of a cookie.', 'a cookie value', REGEX, {
  pattern: '^([^\\s;\\p{Cc}]([^;\\p{Cc}]*[^\\s;\\p{Cc}])?)?$',
});
const PARAMETER_VALUE = valueMatch('Value of a parameter, not percent-encoded.', 'a parameter value', REGEX);

const HEAD_MATCH = {
  host: Type.Optional(oneOrMore('Exact host or `*.SUFFIX`, without a port; any of a list.', HOST)),
  path: Type.Optional(oneOrMore('Exact path, without its query; any of a list.', PATH)),
  path_prefix: Type.Optional(oneOrMore('Prefix of the path, in whole segments; any of a list.', PATH)),
  path_regex: Type.Optional(oneOrMore('Regular expression (RE2) for the whole path; any of a list.', REGEX)),
  method: Type.Optional(oneOrMore('Request method; any of a list.', METHOD)),
  headers: Type.Optional(
    mapOf('Header fields and what they must be, all of them.', HEADER_NAME, HEADER_VALUE, {
      minProperties: 1,
    }),
  ),
  query: Type.Optional(
    mapOf(
      'Parameters of the query and what one of their values must be, all of them.',
      PARAMETER_NAME,
      PARAMETER_VALUE,
      { minProperties: 1 },
    ),
  ),
  cookie: Type.Optional(
    mapOf('Cookies and what one of their values must be, all of them.', COOKIE_NAME, COOKIE_VALUE, {
      minProperties: 1,
    }),
  ),
  client: Type.Optional(
    oneOrMore(
      'Network or address that the connection comes from; any of a list.',
      text('Network or address.', 'an IP address or a network such as 10.0.0.0/8', { format: 'network' }),
    ),
  ),
  listener: Type.Optional(
    oneOrMore('Listener that the connection comes to; any of a list.', name('Name of a listener.')),
  ),
};

export const MATCH = mapping(
  'What a head must have, all of it; without it the route takes everything. A connection to a tcp listener has no head: only `client`, `listener` and `not` can hold for it.',
  {
    ...HEAD_MATCH,
    not: Type.Optional(
      mapping('What must not hold as a whole.', HEAD_MATCH, {
        minProperties: 1,
      }),
    ),
  },
);
