import { leadToOnePool } from '../../src/route/one-pool';
import type { RouteRule } from '../../src/route/router';

const everything = (pool: string): RouteRule => ({ pool });
const host = (pool: string): RouteRule => ({ match: { host: ['a'] }, pool });

test.each<[string, RouteRule[]]>([
  ['one rule for everything', [everything('web')]],
  ['an empty match, which is none', [{ match: {}, pool: 'web' }]],
  [
    'several rules to the same pool, and everything else there too',
    [host('web'), host('web'), everything('web')],
  ],
  // What stands behind a rule for everything is never reached.
  ['a rule for everything first', [everything('web'), host('api'), everything('api')]],
])('%s leads to one pool', (_what, rules) => {
  expect(leadToOnePool(rules)).toBe(true);
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
])('%s does not', (_what, rules) => {
  expect(leadToOnePool(rules)).toBe(false);
});
