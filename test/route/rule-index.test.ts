import fc from 'fast-check';
import type { RoutableHead } from '../../src/peek/head';
import { normaliseHost } from '../../src/route/host';
import { normalisePath } from '../../src/route/path';
import { Router, type RouteMatch, type RouteRule } from '../../src/route/router';

type HeadParts = Pick<RoutableHead, 'method' | 'host' | 'path'> & { headers: Record<string, string> };

function headOf({ headers, ...parts }: HeadParts): RoutableHead {
  return { ...parts, query: '', header: (name) => headers[name] };
}

describe('a router finds what trying all rules in turn finds', () => {
  /** What the index must never differ from: every key that is given holds, and of a list any member. */
  function firstOf(rules: readonly RouteRule[], head: RoutableHead): RouteRule | undefined {
    const host = normaliseHost(head.host);
    const path = normalisePath(head.path);
    const any = <T>(list: readonly T[] | undefined, fits: (member: T) => boolean) => list?.some(fits) ?? true;
    return rules.find(
      ({ match = {} }) =>
        any(match.host, (pattern) => isOfHost(normaliseHost(pattern.toLowerCase()), host)) &&
        any(match.path, (exact) => normalisePath(exact) === path) &&
        any(match.path_prefix, (prefix) => isBelow(normalisePath(prefix), path)) &&
        any(match.method, (method) => method === head.method) &&
        Object.entries(match.headers ?? {}).every(
          ([name, value]) => head.header(name.toLowerCase()) === value,
        ),
    );
  }

  function isOfHost(pattern: string, host: string): boolean {
    if (!pattern.startsWith('*.')) return host === pattern;
    return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
  }

  function isBelow(prefix: string, path: string): boolean {
    return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
  }

  // Of few pieces, so that many rules fit many heads, each in more than one way.
  const name = fc
    .array(fc.constantFrom('a', 'b', 'example'), { minLength: 1, maxLength: 4 })
    .map((labels) => labels.join('.'));
  const oddHost = fc.constantFrom(
    '',
    '.',
    'a.',
    '.a',
    'b..a',
    'a.b.',
    '1.2.3.4',
    '2001:db8::1',
    '2001:db8:0::1',
    '::ffff:1.2.3.4',
  );
  const host = fc.oneof({ weight: 4, arbitrary: name }, { weight: 1, arbitrary: oddHost });
  const pattern = fc.tuple(fc.constantFrom('', '', '*.'), host, fc.boolean()).map(([star, rest, upper]) => {
    const spelled = star + rest;
    return upper ? spelled.toUpperCase() : spelled;
  });
  const rooted = fc
    .array(fc.constantFrom('', 'a', 'b', 'ab', 'v1', '%61', '%2f', '.', '..'), { minLength: 1, maxLength: 5 })
    .map((segments) => `/${segments.join('/')}`);
  const path = fc.oneof(
    { weight: 8, arbitrary: rooted },
    { weight: 1, arbitrary: fc.constantFrom('*', '', '/', '//') },
  );
  const method = fc.constantFrom('GET', 'POST', '');
  const listOf = <T>(item: fc.Arbitrary<T>) => fc.array(item, { minLength: 1, maxLength: 3 });

  const match: fc.Arbitrary<RouteMatch> = fc.record(
    {
      host: listOf(pattern),
      path: listOf(path),
      path_prefix: listOf(path),
      method: listOf(method),
      headers: fc.dictionary(fc.constantFrom('X', 'y'), fc.constantFrom('1', '2')),
    },
    { requiredKeys: [] },
  );
  const rule: fc.Arbitrary<RouteRule> = fc.record(
    { match, pool: fc.constant('p') },
    { requiredKeys: ['pool'] },
  );
  const head = fc
    .record({
      method,
      host,
      path,
      headers: fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2')),
    })
    .map(headOf);

  // Those without a host or a path fit so much that, first in the list, they would hide what is behind them.
  const selective = rule.filter(({ match: keys }) => keys?.host !== undefined || keys?.path !== undefined);
  const rules = fc
    .tuple(fc.array(selective, { maxLength: 20 }), fc.array(rule, { maxLength: 4 }))
    .map((lists) => lists.flat());

  test('whatever the rules and heads', () => {
    const outcomes = { found: 0, behindAnother: 0, none: 0 };
    fc.assert(
      fc.property(rules, fc.array(head, { minLength: 20, maxLength: 40 }), (all, heads) => {
        const router = new Router(all);
        for (const each of heads) {
          const expected = firstOf(all, each);
          expect(router.match(each)).toBe(expected);
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
      const each = headOf({ method: 'GET', host: name, path: target, headers: {} });
      expect(router.match(each)).toBe(firstOf(all, each));
    }
  });
});

/** Rules that a head is held against. Each of them has a method, which is the first thing that it asks for. */
function triedOf(router: Router<RouteRule>, host: string, path: string): number {
  let tried = 0;
  router.match({
    get method(): string {
      tried++;
      return 'GET';
    },
    host,
    path,
    query: '',
    header: () => undefined,
  });
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
