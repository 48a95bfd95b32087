import { parseFrontConfig } from '../../src/config/load';
import { FRONT, compare, configOf } from './texts';
import type { ProblemCase } from './texts';

/** A route in place of the one that leads to the pool, with marks where problems are expected. */
const route = (text: string, ...messages: string[]): ProblemCase => ['pool: web', text, ...messages];
const lines = (...keys: string[]): string => keys.join('\n    ');

const START =
  'must begin with http:// or https:// and a host, written out or {host}, or with a path of its own: a client must not choose the host';
const FRAMING = 'says where a request ends or goes, so it is not for edits';
const LONG = 'x'.repeat(900);

const CASES: ProblemCase[] = [
  // one action
  ['- pool: web', '- ¶match: { path: /a }', 'routes[0]: needs one of pool, split, respond, redirect, deny'],
  route(lines('pool: web', 'deny: ¶{}'), 'routes[0].deny: a second action beside "pool": keep one'),
  route(
    lines('respond: {}', 'redirect: ¶{ to: /a }'),
    'routes[0].redirect: a second action beside "respond": keep one',
  ),

  // split
  route(
    'split: { pools: { web1: ¶1 } }',
    'routes[0].split.pools.web1: there is no pool "web1": did you mean "web"?',
  ),
  route('split: { pools: ¶{ web: 0 } }', 'routes[0].split.pools: no pool has a share above 0'),
  route('split: { pools: ¶{} }', 'routes[0].split.pools: the mapping is empty'),
  route(
    'split: { pools: { web: ¶-1 } }',
    'routes[0].split.pools.web: -1 is not a whole number from 0 to 1000',
  ),
  route(
    'split: { pools: { web: 1 }, by: ¶user }',
    'routes[0].split.by: "user" is not client, header:NAME, cookie:NAME or path',
  ),

  // respond
  route('respond: { status: ¶101 }', 'routes[0].respond.status: 101 is not a status from 200 to 599'),
  route(
    'respond: { headers: { X-A: ¶"a\\nX-B: b" } }',
    'routes[0].respond.headers.X-A: "a\\nX-B: b" is not a header value of printable ASCII',
  ),
  route('respond: { headers: { ¶"X A": b } }', 'routes[0].respond.headers: "X A" is not a header name'),
  route(
    'respond: { headers: { Content-length: ¶"3" } }',
    'routes[0].respond.headers.Content-length: is written by the front itself and cannot be set',
  ),
  route(
    'respond: { headers: { Date: ¶now } }',
    'routes[0].respond.headers.Date: is written by the front itself and cannot be set',
  ),
  route('respond: { headers: { X-A: a, x-a: ¶b } }', 'routes[0].respond.headers.x-a: "x-a" is already taken'),
  route('respond: { status: 204, body: ¶x }', 'routes[0].respond.body: an answer with 204 has no body'),
  route(`respond: { body: ¶"${'é'.repeat(32_769)}" }`, 'routes[0].respond.body: is longer than 65536 bytes'),

  // redirect
  route('redirect: ¶{ status: 301 }', 'routes[0].redirect: key "to" is missing'),
  route(
    'redirect: { to: /a, status: ¶300 }',
    'routes[0].redirect.status: 300 is not one of 301, 302, 303, 307, 308',
  ),
  route('redirect: { to: ¶"{path}" }', `routes[0].redirect.to: ${START}`),
  route('redirect: { to: ¶"//evil.example{path}" }', `routes[0].redirect.to: ${START}`),
  route(
    'redirect: { to: ¶"https://a{paht}" }',
    'routes[0].redirect.to: {paht} is not one of {host}, {path} and {query}',
  ),
  route(
    'redirect: { to: ¶"/a\\r\\nX: b" }',
    'routes[0].redirect.to: has characters that no URL has; they are escaped as %XX',
  ),

  // deny
  route('deny: { status: ¶200 }', 'routes[0].deny.status: 200 is not a status from 400 to 599'),

  // edits
  route(
    lines('deny: {}', 'set_headers: ¶{ X-A: a }', 'request_id: ¶X-Id'),
    'routes[0].set_headers: only requests that go to a pool are edited, not with "deny"',
    'routes[0].request_id: only requests that go to a pool are edited, not with "deny"',
  ),
  ...[
    'Host',
    'content-length',
    'TRANSFER-ENCODING',
    'Connection',
    'Upgrade',
    'TE',
    'Trailer',
    'Expect',
    'Keep-Alive',
  ].flatMap((name): ProblemCase[] => [
    route(
      lines('pool: web', `set_headers: { ${name}: ¶x }`),
      `routes[0].set_headers.${name}: "${name}" ${FRAMING}`,
    ),
    route(
      lines('pool: web', `remove_headers: [X-A, ¶${name}]`),
      `routes[0].remove_headers[1]: "${name}" ${FRAMING}`,
    ),
    route(lines('pool: web', `request_id: ¶${name}`), `routes[0].request_id: "${name}" ${FRAMING}`),
  ]),
  route(
    lines('pool: web', 'set_headers: { X-A: ¶"a\\r\\nX-B: b" }'),
    'routes[0].set_headers.X-A: "a\\r\\nX-B: b" is not a header value of printable ASCII',
  ),
  route(
    lines('pool: web', 'set_headers: { X-A: ¶é }'),
    'routes[0].set_headers.X-A: "é" is not a header value of printable ASCII',
  ),
  route(
    lines('pool: web', 'set_headers: { ¶"X:A": a }'),
    'routes[0].set_headers: "X:A" is not a header name',
  ),
  route(
    lines('pool: web', 'remove_headers: [¶"X-A:"]'),
    'routes[0].remove_headers[0]: "X-A:" is not a header name',
  ),
  route(
    lines('pool: web', 'set_headers: { X-A: a, x-a: ¶b }', 'remove_headers: [¶X-A]', 'request_id: ¶X-a'),
    'routes[0].set_headers.x-a: "x-a" is already taken',
    'routes[0].remove_headers[0]: "X-A" is already taken',
    'routes[0].request_id: "X-a" is already taken',
  ),
  route(
    lines(
      'pool: web',
      `set_headers: ¶{ ${Array.from({ length: 10 }, (_, k) => `X-${k}: ${LONG}`).join(', ')} }`,
    ),
    'routes[0].set_headers: adds 9070 bytes to a head, more than 8192',
  ),
  route(
    lines('pool: web', `set_headers: ¶{ ${Array.from({ length: 33 }, (_, k) => `X-${k}: a`).join(', ')} }`),
    'routes[0].set_headers: the mapping has too many keys',
  ),

  // strip_prefix
  route(
    lines('pool: web', 'strip_prefix: ¶/api'),
    'routes[0].strip_prefix: not every path that the route matches begins with it: say so with "path_prefix: /api"',
  ),
  route(
    lines('pool: web', 'match: { path_prefix: [/api/v1, /apis] }', 'strip_prefix: ¶/api'),
    'routes[0].strip_prefix: not every path that the route matches begins with it: say so with "path_prefix: /api"',
  ),
  route(
    lines('pool: web', 'match: { path_prefix: /api/../other }', 'strip_prefix: ¶/api'),
    'routes[0].strip_prefix: not every path that the route matches begins with it: say so with "path_prefix: /api"',
  ),
  ...['/', '/api/', 'api', '/api?x'].map((prefix) =>
    route(
      lines('pool: web', 'match: { path_prefix: /api }', `strip_prefix: ¶${prefix}`),
      `routes[0].strip_prefix: "${prefix}" is not a path that starts with "/" and does not end with it`,
    ),
  ),
];

test.each(CASES)('%j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, problemCase);
  expect(expected).not.toEqual([]);
  expect(actual).toEqual(expected);
});

const routeOf = (...keys: string[]) =>
  configOf(parseFrontConfig(FRONT.replace('pool: web', lines(...keys)), __filename)).routes[0];

test.each<[string[], Record<string, unknown>]>([
  [['deny: {}'], { deny: { status: 403 } }],
  [['deny: { status: 451 }'], { deny: { status: 451 } }],
  [['respond: {}'], { respond: { status: 200, headers: {}, body: '' } }],
  [
    ['respond: { status: 503, headers: { Retry-After: "60" }, body: "later\\n" }'],
    { respond: { status: 503, headers: { 'Retry-After': '60' }, body: 'later\n' } },
  ],
  [
    ['redirect: { to: "https://{host}{path}{query}" }'],
    { redirect: { to: 'https://{host}{path}{query}', status: 308 } },
  ],
  [
    ['split: { pools: { web: 95 }, by: "cookie:user" }'],
    { split: { pools: [{ name: 'web', weight: 95 }], by: 'cookie:user' } },
  ],
  [
    [
      'pool: web',
      'match: { path_prefix: [/api, /%61pi/v2/] }',
      'set_headers: { X-Tenant: gold }',
      'remove_headers: [X-Debug]',
      'strip_prefix: /%61pi',
      'request_id: X-Request-Id',
    ],
    {
      match: { path_prefix: ['/api', '/%61pi/v2/'] },
      pool: 'web',
      edits: {
        set: [['X-Tenant', 'gold']],
        remove: ['x-debug'],
        strip_prefix: '/api',
        request_id: 'X-Request-Id',
      },
    },
  ],
  [
    ['split: { pools: { web: 1 } }', 'remove_headers: [X-A]'],
    { split: { pools: [{ name: 'web', weight: 1 }] }, edits: { set: [], remove: ['x-a'] } },
  ],
  [['pool: web', 'set_headers: {}'], { pool: 'web' }],
])('%j', (keys, wanted) => {
  expect(routeOf(...keys)).toEqual(wanted);
});
