import fc from 'fast-check';
import { NO_HEAD } from '../../src/peek/head';
import { Router, type RouteMatch } from '../../src/route/router';
import { CLIENT, headOf, type HeadParts } from './heads';
import { askedHead, firstOf, fitsPlainly, ruleList } from './plain-rules';

function failureOf(match: RouteMatch, parts: HeadParts): string | undefined {
  return new Router([{ match, pool: 'p' }]).explain(headOf(parts), CLIENT)[0]?.failed;
}

test.each<[RouteMatch, HeadParts, string]>([
  [{ method: ['POST'] }, {}, 'method: is GET, not POST'],
  [{ method: ['POST', 'PUT', 'PATCH'] }, { method: '' }, 'method: is "", not POST, PUT or PATCH'],
  [{ host: ['*.Example.org'] }, { host: 'b.example.com' }, 'host: is b.example.com, not *.example.org'],
  [{ host: ['a', 'b', 'c', 'd', 'e'] }, { host: 'x' }, 'host: is x, not a, b, c or 2 more'],
  [{ path: ['/v1'] }, { path: '/x/../v2' }, 'path: is /v2, not /v1'],
  [{ path_prefix: ['/v1'] }, { path: '/v2' }, 'path_prefix: /v2 is not below /v1'],
  [{ path_regex: ['/v[0-9]+'] }, { path: '/v' }, 'path_regex: /v as a whole is no match of /v[0-9]+'],
  [{ headers: { 'X-Tenant': 'gold' } }, {}, 'headers.x-tenant: is absent, wanted "gold"'],
  [
    { headers: { 'x-tenant': { regex: 'g.*' } } },
    { headers: { 'x-tenant': 'silver' } },
    'headers.x-tenant: is "silver", wanted a match of g.*',
  ],
  [{ headers: { a: { present: true } } }, {}, 'headers.a: is absent, wanted any value'],
  [{ headers: { a: { present: false } } }, { headers: { a: '' } }, 'headers.a: is "", wanted none'],
  [{ query: { q: '1' } }, { query: 'q=2&q=%0A' }, 'query.q: is "2" or "\\n", wanted "1"'],
  [{ query: { q: '1' } }, { query: '' }, 'query.q: is absent, wanted "1"'],
  [{ cookie: { s: '1' } }, { headers: { cookie: 's=2' } }, 'cookie.s: is "2", wanted "1"'],
  [{ client: ['10.0.0.0/8'] }, {}, 'client: 198.18.0.5 is not in 10.0.0.0/8'],
  [
    { client: ['10.0.0.0/8', '2001:DB8::/32'] },
    {},
    'client: 198.18.0.5 is not in 10.0.0.0/8 or 2001:db8::/32',
  ],
  [{ listener: ['echo', 'chat'] }, {}, 'listener: is web, not echo or chat'],
  [{ not: { method: ['GET'] } }, {}, 'not: all of it holds (method)'],
  [
    { not: { method: ['GET'], host: ['a.example'], headers: { a: { present: false } } } },
    {},
    'not: all of it holds (method, host and headers.a)',
  ],
  // The first that does not hold.
  [{ method: ['GET'], host: ['b'], path: ['/x'] }, {}, 'host: is a.example, not b'],
])('%j of %j: %s', (match, parts, failure) => {
  expect(failureOf(match, parts)).toBe(failure);
});

test('no condition on a head holds where there is none', () => {
  const failure = (match: RouteMatch): string | undefined =>
    new Router([{ match, pool: 'p' }]).explain(NO_HEAD, CLIENT)[0]?.failed;
  expect(failure({ headers: { a: { present: false } } })).toBe('headers.a: there is no head');
  expect(failure({ cookie: { a: { present: false } } })).toBe('cookie.a: there is no head');
  expect(failure({ query: { a: { present: false } } })).toBe('query.a: there is no head');
  expect(failure({ path_regex: ['.*'] })).toBe('path_regex: "" as a whole is no match of .*');
  expect(failure({ path_prefix: ['/'] })).toBe('path_prefix: "" is not below /');
  expect(failure({ method: ['GET'] })).toBe('method: is "", not GET');
  expect(failure({ listener: ['web'], client: ['198.18.0.0/15'], not: { host: ['a'] } })).toBeUndefined();
});

test('rules behind the one that wins are not reached', () => {
  const rules = [
    { match: { method: ['POST'] }, pool: 'a' },
    { match: { path_prefix: ['/'] }, pool: 'b' },
    { match: { host: ['b'] }, pool: 'c' },
    { pool: 'd' },
  ];
  expect(new Router(rules).explain(headOf({}), CLIENT)).toEqual([
    { number: 0, matched: false, reached: true, failed: 'method: is GET, not POST' },
    { number: 1, matched: true, reached: true },
    { number: 2, matched: false, reached: false, failed: 'host: is a.example, not b' },
    { number: 3, matched: true, reached: false },
  ]);
});

test('nothing that is said grows with what was sent or asked', () => {
  const long = 'x'.repeat(10_000);
  const many = Array.from({ length: 1000 }, (_, k) => `/${k}${long}`);
  const matches: RouteMatch[] = [
    { method: [long] },
    { host: many },
    { path: many },
    { path_prefix: many },
    { path_regex: [`/${'a'.repeat(1000)}`] },
    { headers: { [long]: long } },
    { query: { q: long } },
    { cookie: { [`${long}s`]: { regex: 'y'.repeat(1000) } } },
    { not: { headers: Object.fromEntries(many.map((name) => [name, { present: false }])) } },
  ];
  const head = { method: `${long}m`, host: `${long}h`, path: `/${long}`, query: `q=a${long}&`.repeat(500) };
  for (const match of matches) {
    const failed = failureOf(match, head);
    expect(failed).toContain('xxx...');
    expect(failed?.length).toBeLessThan(400);
  }
});

test('the winner is what match() finds, and every other one says why', () => {
  const outcomes = { winner: 0, failed: 0, unreached: 0 };
  fc.assert(
    fc.property(ruleList, fc.array(askedHead, { minLength: 5, maxLength: 10 }), (rules, heads) => {
      const router = new Router(rules);
      for (const [head, asker] of heads) {
        const verdicts = router.explain(head, asker);
        const winner = verdicts.find(({ matched, reached }) => matched && reached);
        expect(winner && rules[winner.number]).toBe(router.match(head, asker));
        expect(winner && rules[winner.number]).toBe(firstOf(rules, head, asker));
        // All verdicts of a head at once: to expect each costs more than to find it.
        expect(verdicts.map(({ failed: _, ...verdict }) => verdict)).toEqual(
          rules.map(({ match = {} }, number) => ({
            number,
            matched: fitsPlainly(match, head, asker),
            reached: winner === undefined || number <= winner.number,
          })),
        );
        const saidOf = verdicts.map(({ matched, failed }) =>
          matched ? failed === undefined : /^[a-z_]+(\.[^\n]+)?: [^\n]{1,400}$/.test(failed ?? ''),
        );
        expect(saidOf).toEqual(verdicts.map(() => true));
        for (const { failed, reached } of verdicts)
          outcomes[failed !== undefined ? 'failed' : reached ? 'winner' : 'unreached']++;
      }
    }),
    { numRuns: 200 },
  );
  expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(100);
});
