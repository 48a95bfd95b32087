import fc from 'fast-check';
import { Router, type RouteMatch, type RouteRule } from '../../src/route/router';
import { CLIENT, headOf } from './heads';
import { askedHead, firstOf, ruleList } from './plain-rules';

describe('a router finds what trying all rules in turn finds', () => {
  test('whatever the rules and heads', () => {
    const outcomes = { found: 0, behindAnother: 0, none: 0 };
    fc.assert(
      fc.property(ruleList, fc.array(askedHead, { minLength: 20, maxLength: 40 }), (all, heads) => {
        const router = new Router(all);
        for (const [head, asker] of heads) {
          const expected = firstOf(all, head, asker);
          expect(router.match(head, asker)).toBe(expected);
          if (expected === undefined) outcomes.none++;
          else if (expected === all[0]) outcomes.found++;
          else outcomes.behindAnother++;
        }
      }),
      { numRuns: 500 },
    );
    // Or it would not have been a test.
    expect(Math.min(...Object.values(outcomes))).toBeGreaterThan(100);
  });

  test('also a rule of very many hosts and paths', () => {
    const numbers = Array.from({ length: 100 }, (_, index) => index);
    const all: RouteRule[] = [
      {
        match: { host: numbers.map((k) => `h${k}.example`), path_prefix: numbers.map((k) => `/p${k}`) },
        pool: 'p',
      },
      { match: { host: ['h7.example'] }, pool: 'p' },
    ];
    const router = new Router(all);
    for (const [name, target] of [
      ['h99.example', '/p99/x'],
      ['h7.example', '/p0'],
      ['h7.example', '/q'],
      ['h8.example', '/q'],
    ] as const) {
      const head = headOf({ host: name, path: target });
      expect(router.match(head, CLIENT)).toBe(firstOf(all, head, CLIENT));
    }
  });
});

/** Rules that a head is held against. Each of them has a method, which is the first thing that it asks for. */
function triedOf(router: Router<RouteRule>, host: string, path: string): number {
  let tried = 0;
  const head = {
    get method(): string {
      tried++;
      return 'GET';
    },
    host,
    path,
    query: '',
    header: () => undefined,
  };
  router.match(head, CLIENT);
  return tried;
}

describe('a head meets no more rules where there are more', () => {
  type Kind = readonly [name: string, match: (k: number) => RouteMatch, host: string, path: string];
  const KINDS: readonly Kind[] = [
    ['hosts', (k) => ({ host: [`h${k}.example`] }), 'h5.example', '/'],
    ['suffixes', (k) => ({ host: [`*.h${k}.example`] }), 'a.h5.example', '/'],
    ['paths', (k) => ({ path: [`/a/p${k}`] }), 'a.example', '/a/p5'],
    ['prefixes', (k) => ({ path_prefix: [`/p${k}`] }), 'a.example', '/p5/x'],
    ['prefixes with a slash', (k) => ({ path_prefix: [`/p${k}/`] }), 'a.example', '/p5/x'],
    ['prefixes of a host', (k) => ({ host: ['a.example'], path_prefix: [`/p${k}`] }), 'a.example', '/p5/x'],
    ['prefixes of a suffix', (k) => ({ host: ['*.example'], path_prefix: [`/p${k}`] }), 'a.example', '/p5'],
    ['hosts with a prefix', (k) => ({ host: [`h${k}.example`], path_prefix: ['/p'] }), 'h5.example', '/p/x'],
    ['lists', (k) => ({ host: [`h${k}.a`, `h${k}.b`], path: [`/p${k}`, `/q${k}`] }), 'h5.b', '/q5'],
    [
      'of every kind',
      (k) => [{ host: [`h${k}.example`] }, { path: [`/p${k}`] }, { path_prefix: [`/q${k}`] }][k % 3] ?? {},
      'h9990.example',
      '/q5/x',
    ],
  ];

  test.each(KINDS)('%s', (_, match, host, path) => {
    const routerOf = (count: number) => {
      const rules = Array.from({ length: count }, (__, k) => ({
        match: { ...match(k), method: ['POST'] },
        pool: 'p',
      }));
      return new Router<RouteRule>(rules);
    };
    expect(triedOf(routerOf(10), host, path)).toBe(1);
    expect(triedOf(routerOf(10_000), host, path)).toBeLessThanOrEqual(2);
  });

  test('those behind one that fits are not tried', () => {
    const match = { method: ['GET'] };
    const rules = [
      { match: { ...match, host: ['a.example'] } },
      ...Array.from({ length: 100 }, () => ({ match })),
    ];
    const router = new Router<RouteRule>(rules.map((rule) => ({ ...rule, pool: 'p' })));
    expect(triedOf(router, 'a.example', '/')).toBe(1);
    expect(triedOf(router, 'b.example', '/')).toBe(1);
  });
});
