import { parseAgentConfig, parseFrontConfig } from '../../src/config/load';
import { AGENT, FRONT, compare } from './texts';
import type { ProblemCase } from './texts';

const NAME = 'a name of 1 to 64 letters, digits, ".", "_" or "-"';
const DURATION = 'a duration such as 500ms, 1.5s, 2m or 1h, up to 24 days';

const STATUSES = 'a status from 200 to 599 or a range such as 200-399';

const FRONT_CASES: ProblemCase[] = [
  ['node: front-1\n', '¶tiemouts: {}\nnode: front-1\n', 'unknown key "tiemouts": did you mean "timeouts"?'],
  ['node: front-1\n', '¶"a\\nb": 1\nnode: front-1\n', 'unknown key "a\\nb"'],
  ['node: front-1\n', '¶__proto__: 1\nnode: front-1\n', 'unknown key "__proto__"'],
  ['node: front-1\nlisteners', '¶listeners', 'key "node" is missing'],
  ['front-1', '¶front 1', `node: "front 1" is not ${NAME}`],
  ['front-1', `¶${'x'.repeat(65)}`, `node: "${'x'.repeat(60)}..." is not ${NAME}`],
  ['front-1', '¶12', 'node: 12 is not text: put it in quotes'],
  ['front-1', '¶[a]', `node: a list is not ${NAME}`],
  ['198.19.0.1:80', '¶x', 'listeners[0].bind: "x" is not ADDRESS:PORT'],
  ['198.19.0.1:80', '¶198.19.0.1:0', 'listeners[0].bind: "198.19.0.1:0" is not ADDRESS:PORT'],
  ['198.19.0.1:80', '¶80', 'listeners[0].bind: 80 is not ADDRESS:PORT'],
  ['protocol: http', 'protocol: ¶https', 'listeners[0].protocol: "https" is not one of http, tls, tcp'],
  ['protocol: http', 'protocol: ¶1', 'listeners[0].protocol: 1 is not one of http, tls, tcp'],
  ['  - pool: web', '  ¶[]', 'routes: the list is empty'],
  ['- pool: web', '- ¶match: {}', 'routes[0]: needs one of pool, split, respond, redirect, deny'],
  ['- pool: web', '- ¶web', 'routes[0]: "web" is not a mapping'],
  ['pool: web', 'pool: web\n    match: ¶', 'routes[0].match: null is not a mapping'],
  [
    'pool: web',
    'pool: web\n    match: { host: [a, ¶"a:80"], path: ¶a, method: ¶get }',
    'routes[0].match.host[1]: "a:80" is not a host such as api.example.com or *.example.com',
    'routes[0].match.path: "a" is not a path that starts with "/"',
    'routes[0].match.method: "get" is not a method in capitals',
  ],
  [
    'pool: web',
    'pool: web\n    match: { host: ¶[], headers: { x-a: ¶2, ¶"x b": c, x-c: ¶"a\\nb" } }',
    'routes[0].match.host: the list is empty',
    'routes[0].match.headers.x-a: 2 is not text: put it in quotes',
    'routes[0].match.headers: "x b" is not a header name',
    'routes[0].match.headers.x-c: "a\\nb" is not a header value, { regex: PATTERN } or { present: true }',
  ],
  [
    'pool: web',
    'pool: web\n    match: { headers: ¶{}, query: { a: ¶[b], c: ¶{}, ¶"": d }, cookie: { s: ¶"a;b", ¶"t;": u } }',
    'routes[0].match.headers: the mapping is empty',
    'routes[0].match.query.a: a list is not a parameter value, { regex: PATTERN } or { present: true }',
    'routes[0].match.query.c: the mapping is empty',
    'routes[0].match.query: "" is not a parameter name',
    'routes[0].match.cookie.s: "a;b" is not a cookie value, { regex: PATTERN } or { present: true }',
    'routes[0].match.cookie: "t;" is not a cookie name',
  ],
  [
    'pool: web',
    'pool: web\n    match: { headers: { a: { ¶regexp: b }, c: { present: ¶1 }, d: { regex: ¶[] } }, ¶path_rexeg: e }',
    'unknown key "regexp": did you mean "regex"?',
    'routes[0].match.headers.c.present: 1 is not true or false',
    'routes[0].match.headers.d.regex: a list is not a regular expression',
    'unknown key "path_rexeg": did you mean "path_regex"?',
  ],
  [
    'pool: web',
    `pool: web\n    match: { path_regex: [a, ¶"", ¶${'a'.repeat(1025)}], not: { ¶not: { path: /a }, ¶paht: /b } }`,
    'routes[0].match.path_regex[1]: "" is not a regular expression',
    `routes[0].match.path_regex[2]: "${'a'.repeat(60)}..." is not a regular expression`,
    'unknown key "not"',
    'unknown key "paht"',
  ],
  ['pool: web', 'pool: web\n    match: { not: ¶{} }', 'routes[0].match.not: the mapping is empty'],
  [
    'pool: web',
    'pool: web\n    match: { client: [10.0.0.0/8, ¶10.0.0.0/33, ¶10.0.0/8, ¶"fe80::1%eth0", ¶"::/129", ¶a] }',
    ...['10.0.0.0/33', '10.0.0/8', 'fe80::1%eth0', '::/129', 'a'].map(
      (text, index) =>
        `routes[0].match.client[${index + 1}]: "${text}" is not an IP address or a network such as 10.0.0.0/8`,
    ),
  ],
  ['  web:\n    backends', '  ¶we b:\n    backends', `pools: "we b" is not ${NAME}`],
  ['198.18.0.21:7400', '¶"x"', 'pools.web.backends[0].agent: "x" is not ADDRESS:PORT'],
  ['via: 198.18.0.21', 'via: ¶b1', 'pools.web.backends[0].via: "b1" is not an IP address'],
  [
    'via: 198.18.0.21',
    'via: 198.18.0.21\n        weight: ¶1.5',
    'pools.web.backends[0].weight: 1.5 is not a whole number from 0 to 1000',
  ],
  [
    'via: 198.18.0.21',
    'via: 198.18.0.21\n        weight: ¶.nan',
    'pools.web.backends[0].weight: NaN is not a whole number from 0 to 1000',
  ],
  [
    '    backends',
    '    health: ¶{ interval: ¶10, timeout: ¶1d, rise: ¶0 }\n    backends',
    'pools.web.health: key "path" is missing',
    `pools.web.health.interval: 10 is not ${DURATION}`,
    `pools.web.health.timeout: "1d" is not ${DURATION}`,
    'pools.web.health.rise: 0 is not a whole number from 1 to 100',
  ],
  [
    '    backends',
    '    health: { path: /, expect: ¶100, jitter: ¶0.6, port: ¶0, headers: { x: ¶"ä" } }\n    backends',
    `pools.web.health.expect: 100 is not ${STATUSES}`,
    'pools.web.health.jitter: 0.6 is not a number from 0 to 0.5',
    'pools.web.health.port: 0 is not a whole number from 1 to 65535',
    'pools.web.health.headers.x: "ä" is not a header value of visible ASCII',
  ],
  [
    '    backends',
    '    health: { path: /, expect: [200, ¶301-300, ¶all, ¶204.5, ¶[]] }\n    backends',
    `pools.web.health.expect[1]: "301-300" is not ${STATUSES}`,
    `pools.web.health.expect[2]: "all" is not ${STATUSES}`,
    `pools.web.health.expect[3]: 204.5 is not ${STATUSES}`,
    `pools.web.health.expect[4]: a list is not ${STATUSES}`,
  ],
  [
    '    backends',
    '    health: { path: /, tls: { server_name: ¶198.18.0.21, insecure: ¶false, ¶verify: no } }\n    backends',
    'pools.web.health.tls.server_name: "198.18.0.21" is not a host',
    'pools.web.health.tls.insecure: false is not true',
    'unknown key "verify"',
  ],
  [
    '    backends',
    '    health: { path: /, tls: { server_name: ¶"*.example.com" } }\n    backends',
    'pools.web.health.tls.server_name: "*.example.com" is not a host',
  ],
  [
    '    backends',
    '    outliers: { errors: ¶0, max_share: ¶1.1, failures: ¶0, latency: ¶2, ¶ejct: 1s }\n    backends',
    'pools.web.outliers.errors: 0 is not a number from 0.001 to 1',
    'pools.web.outliers.max_share: 1.1 is not a number from 0.01 to 1',
    'pools.web.outliers.failures: 0 is not a whole number from 1 to 1000',
    `pools.web.outliers.latency: 2 is not ${DURATION}`,
    'unknown key "ejct": did you mean "eject"?',
  ],
  ['interface: eth0', 'interface: ¶eth0/1', 'steering.interface: "eth0/1" is not an interface name'],
  [
    'interface: eth0',
    'interface: ¶sixteen-letters-',
    'steering.interface: "sixteen-letters-" is not an interface name',
  ],
  ['insecure: true', 'insecure: ¶false', 'control.insecure: false is not true'],
  ['insecure: true', 'tls: ¶{ ca: ca.pem, cert: cert.pem }', 'control.tls: key "key" is missing'],
  ['node:', 'workers: ¶all\nnode:', 'workers: "all" is not auto or a whole number from 1 to 64'],
  ['node:', 'workers: ¶65\nnode:', 'workers: 65 is not auto or a whole number from 1 to 64'],
  ['node:', 'admin: { listen: ¶9180 }\nnode:', 'admin.listen: 9180 is not ADDRESS:PORT or unix:/PATH'],
  ['node:', 'timeouts: ¶\nnode:', 'timeouts: null is not a mapping'],
  [
    'node:',
    'limits: { head_bytes: ¶70000 }\nnode:',
    'limits.head_bytes: 70000 is not a whole number from 128 to 65536',
  ],
];

test.each(FRONT_CASES)('front: %j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, problemCase);
  expect(expected).not.toEqual([]);
  expect(actual).toEqual(expected);
});

const AGENT_CASES: ProblemCase[] = [
  ['[198.19.0.1]', '¶[]', 'vips: the list is empty'],
  ['[198.19.0.1]', '["::1", ¶198.19.0.1:0]', 'vips[1]: "198.19.0.1:0" is not an IP address or ADDRESS:PORT'],
  ['node: b1', 'manage_vips: ¶"yes"\nnode: b1', 'manage_vips: "yes" is not true or false'],
  [
    'listen: 198.18.0.21:7400',
    'listen: ¶198.18.0.21:0',
    'control.listen: "198.18.0.21:0" is not ADDRESS:PORT',
  ],
  ...['https://h', 'http://h/x', 'http://h?', 'http://u@h', 'http:h', 'http://', '127.0.0.1:8080'].map(
    (url): ProblemCase => [
      'http://127.0.0.1:8080',
      `¶"${url}"`,
      `serve.upstream: "${url}" is not an http:// URL of host and port alone`,
    ],
  ),
];

test.each(AGENT_CASES)('agent: %j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseAgentConfig, AGENT, problemCase);
  expect(expected).not.toEqual([]);
  expect(actual).toEqual(expected);
});

test.each(['', '# nothing\n', '~'])('an empty text: %j', (text) => {
  const problems = [{ line: 1, column: 1, message: 'the configuration is empty' }];
  expect(parseFrontConfig(text, __filename)).toEqual({ ok: false, problems });
});

test('a text that is no mapping', () => {
  const problems = [{ line: 1, column: 1, message: '"hello" is not a mapping' }];
  expect(parseFrontConfig('hello', __filename)).toEqual({ ok: false, problems });
});
