import { leadToOnePool } from '../../src/route/one-pool';
import type { RouteRule } from '../../src/route/router';

const everything = (pool: string): RouteRule => ({ pool });
const split = (weights: Readonly<Record<string, number>>, by?: string): RouteRule => {
  const pools = Object.entries(weights).map(([name, weight]) => ({ name, weight }));
  return { split: by === undefined ? { pools } : { pools, by } };
};
const EDITS = { set: [], remove: ['x-debug'] };
const host = (pool: string): RouteRule => ({ match: { host: ['a'] }, pool });

test.each<[string, RouteRule[]]>([
  ['one rule for everything', [everything('web')]],
  ['an empty match, which is none', [{ match: {}, pool: 'web' }]],
  [
    'several rules to the same pool, and everything else there too',
    [host('web'), host('web'), everything('web')],
  ],
  ['a split of which one pool gets all', [host('web'), split({ web: 1, canary: 0 })]],
  [
    'a split by the client alone',
    [
      { ...split({ web: 1, canary: 1 }, 'client'), match: { host: ['a'] } },
      split({ web: 1, canary: 1 }, 'client'),
    ],
  ],
  // What stands behind a rule for everything is never reached.
  ['a rule for everything first', [everything('web'), host('api'), everything('api')]],
])('%s leads to one pool', (_what, rules) => {
  expect(leadToOnePool(rules, 'web')).toBe(true);
});

test.each<[string, RouteRule[]]>([
  ['one rule with a match: other heads lead nowhere', [host('web')]],
  ['several with a match to the same pool', [host('web'), host('web')]],
  ...[
    { client: ['0.0.0.0/0'] },
    { not: { path: ['/a'] } },
    { query: { q: { present: false } } },
    { cookie: { s: '1' } },
    { path_regex: ['.*'] },
  ].map((match): [string, RouteRule[]] => [
    `a match of ${Object.keys(match).join('')} alone, which is one`,
    [{ match, pool: 'web' }],
  ]),
  ['two pools, told apart by a client', [{ match: { client: ['::1'] }, pool: 'api' }, everything('web')]],
  ['two pools', [host('api'), everything('web')]],
  ['two pools, the last one that of the first', [host('web'), host('api'), everything('web')]],
  ['no rule', []],
  ['one pool, and an edit of some heads', [{ ...host('web'), edits: EDITS }, everything('web')]],
  ['one pool with edits', [{ ...everything('web'), edits: EDITS }]],
  ['one pool beside an answer', [{ match: { host: ['a'] } }, everything('web')]],
  ['an answer to everything', [{}]],
  ['a split by chance', [split({ web: 1, canary: 1 })]],
  ['a split by what a client may change', [split({ web: 1, canary: 1 }, 'cookie:user')]],
  [
    'a split beside one of its pools',
    [{ ...split({ web: 1, canary: 1 }, 'client'), match: { host: ['a'] } }, everything('web')],
  ],
  [
    'two splits',
    [
      { ...split({ web: 1, canary: 2 }, 'client'), match: { host: ['a'] } },
      split({ web: 1, canary: 1 }, 'client'),
    ],
  ],
])('%s does not', (_what, rules) => {
  expect(leadToOnePool(rules, 'web')).toBe(false);
});

test('only what comes to the listener counts', () => {
  const at = (listener: string, pool: string): RouteRule => ({ match: { listener: [listener] }, pool });
  const rules = [at('echo', 'echo'), at('web', 'web'), host('api'), everything('api')];
  expect(leadToOnePool(rules, 'web')).toBe(true);
  expect(leadToOnePool(rules, 'echo')).toBe(true);
  expect(leadToOnePool(rules, 'other')).toBe(true);
  expect(leadToOnePool([at('echo', 'echo'), host('api'), everything('web')], 'other')).toBe(false);
  expect(leadToOnePool([at('echo', 'echo')], 'web')).toBe(false);
  expect(leadToOnePool([{ match: { not: { listener: ['echo'] } }, pool: 'web' }], 'web')).toBe(true);
});
