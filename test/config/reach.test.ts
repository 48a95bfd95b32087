import { parseFrontConfig } from '../../src/config/load';
import { FRONT, compare, configOf } from './texts';
import type { ProblemCase } from './texts';

/** An http listener `web` and tcp listeners `echo` and `chat`. */
const BASE = FRONT.replace(
  'routes:',
  '  - { name: echo, bind: 198.19.0.1:7, protocol: tcp }\n  - { name: chat, bind: 198.19.0.1:8, protocol: tcp }\nroutes:',
);
const ONLY_TCP = FRONT.replace('protocol: http', 'protocol: tcp');

const noHead = (name: string) =>
  `no route takes its connections, which have no head: add one with "match: { listener: ${name} }"`;

const CASES: ProblemCase[] = [
  [
    'pool: web',
    'pool: web\n    match: { listener: ¶ecko }\n  - pool: web',
    'routes[0].match.listener: there is no listener "ecko": did you mean "echo"?',
  ],
  [
    'pool: web',
    'pool: web\n    match: { listener: [echo, ¶other], not: { listener: ¶third } }\n  - pool: web',
    'routes[0].match.listener[1]: there is no listener "other"',
    'routes[0].match.not.listener: there is no listener "third"',
  ],
];

test.each(CASES)('%j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, BASE, problemCase);
  expect(actual).toEqual(expected);
});

/** Problems of a front with these routes. */
function problemsOf(routes: string, base = BASE): string[] {
  const loaded = parseFrontConfig(base.replace('  - pool: web\n', routes), __filename);
  return loaded.ok ? [] : loaded.problems.map(({ message }) => message);
}

test.each<[what: string, routes: string]>([
  ['everything to a pool', '  - pool: web\n'],
  ['everything refused', '  - deny: {}\n'],
  ['an answer to everything, which http clients get', '  - respond: { body: a }\n'],
  ['edits of everything, of which http requests have some', '  - { pool: web, request_id: x-id }\n'],
  [
    'listeners apart',
    '  - { match: { listener: [echo, chat] }, pool: web }\n  - { match: { path: /a }, pool: web }\n',
  ],
  ['clients', '  - { match: { client: 10.0.0.0/8 }, pool: web }\n'],
  ['what is not of a listener', '  - { match: { not: { listener: web } }, pool: web }\n'],
  ['what is not of a path', '  - { match: { not: { path: /a } }, pool: web }\n'],
  [
    'a split by a cookie',
    '  - { match: { listener: [echo, chat] }, split: { pools: { web: 1 }, by: "cookie:a" } }\n',
  ],
])('%s is a use of tcp listeners', (_what, routes) => {
  expect(problemsOf(routes)).toEqual([]);
});

test.each<[what: string, routes: string, ...messages: string[]]>([
  [
    'no route',
    '  - { match: { path: /a }, pool: web }\n',
    `listeners[1]: ${noHead('echo')}`,
    `listeners[2]: ${noHead('chat')}`,
  ],
  [
    'routes that take http alone',
    '  - { match: { listener: web }, pool: web }\n  - { match: { listener: echo }, pool: web }\n',
    `listeners[2]: ${noHead('chat')}`,
  ],
  [
    'a condition that none can meet',
    '  - { match: { listener: echo, host: a }, pool: web }\n  - pool: web\n',
    'routes[0].match: takes no connection: those to a tcp listener have no head',
  ],
  [
    'that a header is absent, where there is no head',
    '  - { match: { listener: echo, headers: { a: { present: false } } }, pool: web }\n  - pool: web\n',
    'routes[0].match: takes no connection: those to a tcp listener have no head',
  ],
  [
    'a listener, and not',
    '  - { match: { listener: web, not: { listener: [web, echo] } }, pool: web }\n  - pool: web\n',
    'routes[0].match: takes no connection',
  ],
  [
    'an answer',
    '  - { match: { listener: [echo, chat] }, respond: { body: a } }\n  - pool: web\n',
    'routes[0].respond: a tcp connection has no request to answer: use pool, split or deny',
  ],
  [
    'a redirect',
    '  - { match: { not: { listener: web } }, redirect: { to: "https://a/" } }\n  - pool: web\n',
    'routes[0].redirect: a tcp connection has no request to answer: use pool, split or deny',
  ],
  [
    'edits',
    '  - { match: { listener: [echo, chat] }, pool: web, set_headers: { a: b }, request_id: x-id }\n  - pool: web\n',
    'routes[0].set_headers: a tcp connection has no head to edit',
    'routes[0].request_id: a tcp connection has no head to edit',
  ],
])('%s is none', (_what, routes, ...messages) => {
  expect(problemsOf(routes)).toEqual(messages);
});

test('where there are tcp listeners alone, routes are for those', () => {
  expect(problemsOf('  - respond: { body: a }\n', ONLY_TCP)).toEqual([
    'routes[0].respond: a tcp connection has no request to answer: use pool, split or deny',
  ]);
  expect(problemsOf('  - { match: { host: a }, pool: web }\n  - pool: web\n', ONLY_TCP)).toEqual([
    'routes[0].match: takes no connection: those to a tcp listener have no head',
  ]);
  expect(configOf(parseFrontConfig(ONLY_TCP, __filename)).listeners[0]?.protocol).toBe('tcp');
});
