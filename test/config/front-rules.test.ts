import { basename, join } from 'node:path';
import { parseFrontConfig } from '../../src/config/load';
import { Certificates } from '../wire/certificates';
import { FRONT, compare, configOf } from './texts';
import type { ProblemCase } from './texts';

const certificates = new Certificates();
certificates.make('ca', { isAuthority: true });
const AUTHORITY = certificates.file('ca.pem');

afterAll(() => certificates.remove());

/** A line of flow YAML for one more backend, with marks wherever the case needs them. */
const backend = (name: string, agent: string, rest = 'via: 198.18.0.9') =>
  `{ name: ${name}, agent: ${agent}, ${rest} }`;

const B1 = backend('b1', '198.18.0.21:7400');
const POOL = '    backends:\n';
const listener = (name: string, bind: string) =>
  `  - { name: ${name}, bind: ${bind}, protocol: http }\nroutes:`;

const CASES: ProblemCase[] = [
  // listeners
  ['routes:', listener('¶web', '198.19.0.1:81'), 'listeners[1].name: "web" is already taken'],
  ['routes:', listener('web2', '¶198.19.0.1:80'), 'listeners[1].bind: "198.19.0.1:80" is already taken'],

  [
    'bind: 198.19.0.1:80',
    'bind: 198.19.0.1:80\n    limits: { client_burst: ¶5 }',
    'listeners[0].limits.client_burst: needs client_rate, whose burst it is',
  ],

  // routes
  [
    '- pool: web',
    '- { name: a, pool: web, match: { host: a } }\n  - { name: ¶a, pool: web }',
    'routes[1].name: "a" is already taken',
  ],
  [
    'pool: web',
    'pool: web\n    name: ¶a#1',
    'routes[0].name: "a#1" is not a name of 1 to 64 letters, digits, ".", "_" or "-"',
  ],
  ['pool: web', 'pool: ¶wbe1', 'routes[0].pool: there is no pool "wbe1"'],
  ['pool: web', 'pool: ¶web1', 'routes[0].pool: there is no pool "web1": did you mean "web"?'],
  ['pool: web', 'pool: ¶toString', 'routes[0].pool: there is no pool "toString"'],
  ['- pool: web', '- pool: web\n  - ¶pool: web', 'routes[1]: is never reached: routes[0] takes everything'],
  [
    '- pool: web',
    '- pool: web\n    match: {}\n  - ¶{ match: { host: a }, pool: web }\n  - ¶pool: web',
    'routes[1]: is never reached: routes[0] takes everything',
    'routes[2]: is never reached: routes[0] takes everything',
  ],
  [
    'pool: web',
    'pool: web\n    match: { headers: { X-A: "1", x-a: ¶"2" } }',
    'routes[0].match.headers.x-a: "x-a" is already taken',
  ],
  [
    'pool: web',
    'pool: web\n    match: { path_regex: [/a/.*, ¶"/(a"], headers: { x-a: { regex: ¶"(?=a)b" } }, query: { q: { regex: ¶"(a)\\\\1" } } }',
    'routes[0].match.path_regex[1]: is no regular expression: missing closing ) "/(a"',
    'routes[0].match.headers.x-a.regex: is no regular expression: invalid or unsupported Perl syntax "(?=": lookaround and backreferences are not supported',
    'routes[0].match.query.q.regex: is no regular expression: invalid escape sequence "\\\\1": lookaround and backreferences are not supported',
  ],
  [
    'pool: web',
    'pool: web\n    match: { not: { path_regex: ¶"[z-a]", cookie: { s: { regex: ¶"((ab?){30}){30}" } }, client: ¶10.0.0.1/8 } }',
    'routes[0].match.not.path_regex: is no regular expression: invalid character class range "z-a"',
    'routes[0].match.not.cookie.s.regex: is no regular expression: its repetitions, written out, are too large',
    'routes[0].match.not.client: "10.0.0.1/8" has bits behind its prefix: the network is 10.0.0.0/8',
  ],
  [
    'pool: web',
    'pool: web\n    match: { query: { q: ¶{ regex: a, present: true } }, client: [10.0.0.1, ¶"2001:db8::1/32", "::ffff:10.0.0.0/104", ¶"::ffff:10.0.0.1/104"] }',
    'routes[0].match.query.q: has both "regex" and "present": keep one',
    'routes[0].match.client[1]: "2001:db8::1/32" has bits behind its prefix: the network is 2001:db8::/32',
    'routes[0].match.client[3]: "::ffff:10.0.0.1/104" has bits behind its prefix: the network is 10.0.0.0/8',
  ],
  [
    'pool: web',
    'pool: web\n    match: { not: { headers: { X-A: "1", x-a: ¶"2" } } }',
    'routes[0].match.not.headers.x-a: "x-a" is already taken',
  ],

  // pools
  [POOL, '    hash: ¶client\n    backends:\n', 'pools.web.hash: only balance maglev hashes, not round-robin'],
  [
    POOL,
    `    balance: maglev\n    backends:\n      - ${backend('b2', '198.18.0.2:1').replace('}', ', slow_start: ¶5s }')}\n`,
    'pools.web.backends[0].slow_start: balance maglev has no slow start: it would move keys for a while',
  ],
  [
    '- name: b1',
    `- ${backend('b2', '198.18.0.2:1')}\n      - ${backend('¶b2', '198.18.0.2:1')}\n      - name: b1`,
    'pools.web.backends[1].name: "b2" is already taken',
  ],
  [
    '    backends:\n      - name',
    '    health: { path: / }\n    backends:\n      - ¶name',
    'pools.web.backends[0]: key "http" is missing: health needs it',
  ],
  [
    '    backends:\n      - name',
    '    fallback: proxy\n    backends:\n      - ¶name',
    'pools.web.backends[0]: key "http" is missing: fallback: proxy needs it',
  ],

  // health and outliers
  [
    '    backends:\n      - name: b1',
    `    health: { path: /, headers: { Connection: ¶close, X-a: "1", x-a: ¶"2" } }\n    backends:\n      - http: 198.18.0.21:80\n        name: b1`,
    'pools.web.health.headers.Connection: is for the check itself to send',
    'pools.web.health.headers.x-a: "x-a" is already taken',
  ],
  [
    '    backends:\n      - name: b1',
    `    health: { path: /, tls: ¶{ insecure: true, ca: ${JSON.stringify(AUTHORITY)} } }\n    backends:\n      - http: 198.18.0.21:80\n        name: b1`,
    'pools.web.health.tls: has both "insecure" and "ca": keep one',
  ],
  [
    '    backends:\n      - name: b1',
    `    health: { path: /, tls: { ca: ¶absent.pem } }\n    backends:\n      - http: 198.18.0.21:80\n        name: b1`,
    `pools.web.health.tls.ca: ${JSON.stringify(join(__dirname, 'absent.pem'))}: cannot read: ENOENT: no such file or directory`,
  ],
  [
    '    backends:\n      - name: b1',
    `    health: { path: /, tls: { ca: ¶${basename(__filename)} } }\n    backends:\n      - http: 198.18.0.21:80\n        name: b1`,
    `pools.web.health.tls.ca: there is no certificate in PEM in ${JSON.stringify(__filename)}`,
  ],
  [
    POOL,
    `    outliers: { window: ¶900ms, eject: 10s, max_eject: ¶9s }\n${POOL}`,
    'pools.web.outliers.window: 900ms is shorter than 1s, after which agents report again',
    'pools.web.outliers.max_eject: 9s is shorter than eject, which is 10s',
  ],

  // next hops
  [
    'via: 198.18.0.21',
    'via: [198.18.0.21, ¶198.18.0.22]',
    'pools.web.backends[0].via[1]: a second next hop for IPv4',
  ],
  [
    'via: 198.18.0.21',
    'via: ¶2001:db8::21',
    'pools.web.backends[0].via: no IPv4 next hop, which listener "web" needs',
  ],

  // identities across pools
  [
    'steering:',
    `  api: { backends: [${backend('b2', '¶198.18.0.21:7400')}] }\nsteering:`,
    'pools.api.backends[0].agent: the agent 198.18.0.21:7400 is the backend "b1" elsewhere',
  ],
  [
    'steering:',
    `  api: { backends: [${backend('b1', '¶198.18.0.22:7400')}] }\nsteering:`,
    'pools.api.backends[0].agent: backend "b1" has the agent 198.18.0.21:7400 elsewhere',
  ],

  // control
  [
    'control: { insecure',
    'control: ¶{ tls: { ca: a, cert: b, key: c }, insecure',
    'control: has both "insecure" and "tls": keep one',
  ],
  ['{ insecure: true }', '¶{}', 'control: needs either "insecure: true" or "tls"'],
];

test.each(CASES)('%j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, problemCase);
  expect(expected).not.toEqual([]);
  expect(actual).toEqual(expected);
});

test.each([
  ['the same backend in two pools', 'steering:', `  api: { backends: [${B1}] }\nsteering:`],
  ['a next hop per family', 'via: 198.18.0.21', 'via: [198.18.0.21, "2001:db8::21"]'],
  ['the default fallback without http', POOL, '    balance: round-robin\n    backends:\n'],
  ['refuse without http', POOL, '    fallback: refuse\n    backends:\n'],
  ['two ports of one VIP', 'routes:', listener('web2', '198.19.0.1:81')],
  [
    'a name in two cases, of a cookie or a parameter',
    'pool: web',
    'pool: web\n    match: { cookie: { s: a, S: b }, query: { q: "", Q: a } }',
  ],
  ...['client: 10.0.0.0/8', 'not: { path: /a }', 'cookie: { s: { present: false } }'].map(
    (match): [string, string, string] => [
      `a route behind one with ${match}, which takes not everything`,
      '- pool: web',
      `- { match: { ${match} }, pool: web }\n  - pool: web`,
    ],
  ),
  ['a catch-all that comes last', '- pool: web', '- { match: { host: a }, pool: web }\n  - pool: web'],
])('%s is fine', (_, piece, replacement) => {
  expect(configOf(parseFrontConfig(FRONT.replace(piece, replacement), __filename)).kind).toBe('front');
});

test('equal IPv6 binds are told by address and not by spelling', () => {
  const text = FRONT.replace('198.19.0.1:80', '"[2001:db8::1]:80"').replace(
    'via: 198.18.0.21',
    'via: 2001:db8::9',
  );
  const { actual, expected } = compare(parseFrontConfig, text, [
    'routes:',
    '  - { name: b, bind: ¶"[2001:DB8:0::1]:80", protocol: http }\nroutes:',
    'listeners[1].bind: "[2001:db8::1]:80" is already taken',
  ]);
  expect(actual).toEqual(expected);
});

describe('many routes', () => {
  const POOLS = 1_000;
  const textOf = (count: number, poolOf: (k: number) => string) => {
    const routes = Array.from(
      { length: count },
      (_, k) => `  - { match: { host: h${k}.example }, pool: ${poolOf(k)} }`,
    );
    const pools = Array.from(
      { length: POOLS },
      (_, k) => `  some-pool-${k}: { backends: [${backend('b1', '198.18.0.21:7400')}] }`,
    );
    return FRONT.replace('  - pool: web', routes.join('\n')).replace('pools:', `pools:\n${pools.join('\n')}`);
  };

  test('16,384 and no more', () => {
    const config = configOf(
      parseFrontConfig(
        textOf(16_384, () => 'web'),
        __filename,
      ),
    );
    expect(config.routes).toHaveLength(16_384);
    const text = textOf(16_385, () => 'web');
    expect(parseFrontConfig(text, __filename)).toEqual({
      ok: false,
      problems: [{ line: 7, column: 3, message: 'routes: the list is too long' }],
    });
  });

  test('with 4,096 regular expressions and no more', () => {
    const patterns = (count: number) => {
      const lists = Array.from({ length: Math.ceil(count / 1024) }, (_, k) =>
        Array.from({ length: Math.min(1024, count - 1024 * k) }, (__, j) => `/${k}/${j}`).join(', '),
      );
      const routes = lists.map((list) => `  - { match: { path_regex: [${list}] }, pool: web }`);
      return FRONT.replace('  - pool: web', routes.join('\n'));
    };
    expect(configOf(parseFrontConfig(patterns(4096), __filename)).routes).toHaveLength(4);
    const loaded = parseFrontConfig(patterns(4100), __filename);
    expect(loaded.ok ? [] : loaded.problems.map(({ message }) => message)).toEqual([
      'routes[4].match.path_regex[0]: there are more than 4096 regular expressions',
    ]);
  });

  test('of pools that are not there take little longer than others', () => {
    const wrong = textOf(5_000, (k) => `soem-pool-${k % POOLS}`);
    const begin = performance.now();
    const loaded = parseFrontConfig(wrong, __filename);
    const ms = performance.now() - begin;
    process.stdout.write(`  5,000 names of no pool reported in ${ms.toFixed(0)} ms\n`);
    expect(loaded.ok ? [] : loaded.problems.map(({ message }) => message)).toContain(
      'routes[7].pool: there is no pool "soem-pool-7": did you mean "some-pool-7"?',
    );
    // Each compared with every pool, they took half a minute.
    expect(ms).toBeLessThan(10_000);
  });
});
