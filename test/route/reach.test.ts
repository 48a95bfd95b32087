import fc from 'fast-check';
import { NO_HEAD } from '../../src/peek/head';
import type { RouteMatch } from '../../src/route/match';
import { reachOf } from '../../src/route/reach';
import { Router } from '../../src/route/router';
import { askedHead, ruleList } from './plain-rules';

const names = fc.constantFrom('web', 'echo', 'other');
const someNames = fc.array(names, { minLength: 1, maxLength: 3 });

/** Without what no configuration can ask for: empty methods, hosts and paths, which a connection without a head has. */
function asConfigured({ not, ...match }: RouteMatch): RouteMatch {
  const kept = Object.entries(match).flatMap(([key, value]): [string, unknown][] => {
    if (!Array.isArray(value) || key === 'path_regex') return [[key, value]];
    const some = (value as string[]).filter((text) => /[\w/*:]/.test(text));
    return some.length > 0 ? [[key, some]] : [];
  });
  const rest = Object.fromEntries(kept) as RouteMatch;
  return not && Object.keys(not).length > 0 ? { ...rest, not: asConfigured(not) } : rest;
}

/** Matches of all kinds, with conditions on the listener beside the others or not. */
const matches: fc.Arbitrary<RouteMatch> = fc
  .tuple(
    ruleList.map((rules) => rules[0]?.match ?? {}),
    fc.option(someNames, { nil: undefined }),
    fc.option(someNames, { nil: undefined }),
    fc.boolean(),
  )
  .map(([match, wanted, unwanted, bare]) => {
    const rest = bare ? {} : asConfigured(match);
    const not = unwanted === undefined ? rest.not : { ...rest.not, listener: unwanted };
    return { ...rest, ...(wanted && { listener: wanted }), ...(not && { not }) };
  });

test('what a match is said to take of a listener is what it takes', () => {
  const seen = { all: 0, some: 0, none: 0 };
  fc.assert(
    fc.property(matches, names, fc.boolean(), askedHead, (match, name, headless, [head, { client }]) => {
      const reach = reachOf(match, { name, headless });
      const asker = { client, listener: name };
      const taken = new Router([{ match, pool: 'p' }]).match(headless ? NO_HEAD : head, asker) !== undefined;
      seen[reach] += 1;
      if (reach !== 'some') expect(taken).toBe(reach === 'all');
    }),
    { numRuns: 3000 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(100);
});

test.each<[RouteMatch, web: string, echo: string]>([
  [{}, 'all', 'all'],
  [{ listener: ['web'] }, 'all', 'none'],
  [{ listener: ['echo'] }, 'none', 'all'],
  [{ host: ['a'] }, 'some', 'none'],
  [{ headers: { a: { present: false } } }, 'some', 'none'],
  [{ client: ['::/0'] }, 'some', 'some'],
  [{ not: { client: ['::1'] } }, 'some', 'some'],
  [{ not: { path: ['/a'] } }, 'some', 'all'],
  [{ not: { listener: ['echo'] } }, 'all', 'none'],
  [{ not: { listener: ['echo'], path: ['/a'] } }, 'all', 'all'],
  [{ listener: ['web', 'echo'], not: { listener: ['web'] } }, 'none', 'all'],
])('%j takes %s of http connections and %s of others', (match, web, echo) => {
  expect(reachOf(match, { name: 'web', headless: false })).toBe(web);
  expect(reachOf(match, { name: 'echo', headless: true })).toBe(echo);
});
