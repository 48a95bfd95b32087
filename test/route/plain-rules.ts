import fc from 'fast-check';
import { formatAddress } from '../../src/kernel/flow';
import type { Asker, RoutableHead } from '../../src/peek/head';
import { normaliseHost } from '../../src/route/host';
import { normalisePath } from '../../src/route/path';
import type { RouteMatch, RouteRule } from '../../src/route/router';
import { clientAt, headOf } from './heads';

/**
 * Rules as they are written, without an index and without a matcher: what the router must never differ from. Nothing of it
 * is the router's but how a host and a path are spelled, which have tests of their own.
 */

/** Trying all in turn: every key that is given holds, and of a list any member. */
export function firstOf<R extends RouteRule>(
  rules: readonly R[],
  head: RoutableHead,
  asker: Asker,
): R | undefined {
  return rules.find(({ match = {} }) => fitsPlainly(match, head, asker));
}

export function fitsPlainly(match: RouteMatch, head: RoutableHead, asker: Asker): boolean {
  const host = normaliseHost(head.host);
  const path = normalisePath(head.path);
  const any = <T>(list: readonly T[] | undefined, fits: (member: T) => boolean) => list?.some(fits) ?? true;
  return (
    any(match.host, (pattern) => isOfHost(normaliseHost(pattern.toLowerCase()), host)) &&
    any(match.path, (exact) => normalisePath(exact) === path) &&
    any(match.path_prefix, (prefix) => isBelow(normalisePath(prefix), path)) &&
    any(match.path_regex, (regex) => isWhole(regex, path)) &&
    any(match.method, (method) => method === head.method) &&
    any(match.client, (network) => isIn(network, formatAddress(asker.client))) &&
    any(match.listener, (name) => name === asker.listener) &&
    every(match.headers, (name) => [head.header(name.toLowerCase()) ?? []].flat()) &&
    every(match.query, (name) => new URLSearchParams(head.query).getAll(name)) &&
    every(match.cookie, (name) => cookiesNamed(name, head.header('cookie') ?? '')) &&
    !(match.not && fitsPlainly(match.not, head, asker))
  );
}

function isOfHost(pattern: string, host: string): boolean {
  if (!pattern.startsWith('*.')) return host === pattern;
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}

function isBelow(prefix: string, path: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
}

/** By the engine of the language: the patterns here are among those that both read alike, and harmless. */
function isWhole(regex: string, value: string): boolean {
  return new RegExp(`^(?:${regex})$`, 's').test(value);
}

function every(matches: RouteMatch['headers'] = {}, valuesOf: (name: string) => string[]): boolean {
  return Object.entries(matches).every(([name, wanted]) => {
    const values = valuesOf(name);
    if (typeof wanted === 'string') return values.includes(wanted);
    if ('present' in wanted) return values.length > 0 === wanted.present;
    return values.some((value) => isWhole(wanted.regex, value));
  });
}

function cookiesNamed(name: string, field: string): string[] {
  return [...field.matchAll(/ *([^=; ]*) *=([^;]*)/g)].flatMap(([, each, value = '']) =>
    each === name ? [value.trim()] : [],
  );
}

/** By arithmetic on whole addresses, of one family. */
function isIn(network: string, address: string): boolean {
  const [base = '', length] = network.split('/');
  const [bits, all] = address.includes(':') ? [16n, 128n] : [8n, 32n];
  if (base.includes(':') !== address.includes(':')) return false;
  const behind = all - BigInt(length ?? all);
  return numberOf(base, bits) >> behind === numberOf(address, bits) >> behind;
}

/** `1.2.3.4`, or an IPv6 address of 16 bits a group with at most one `::`. */
function numberOf(address: string, bits: bigint): bigint {
  if (bits === 8n) return address.split('.').reduce((sum, part) => (sum << bits) + BigInt(part), 0n);
  const [left = [], right] = address.split('::').map((side) => side.split(':').filter(Boolean));
  const zeros = Array<string>(right === undefined ? 0 : 8 - left.length - right.length).fill('0');
  return [...left, ...zeros, ...(right ?? [])].reduce((sum, part) => (sum << bits) + BigInt(`0x${part}`), 0n);
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

const pathRegex = fc
  .array(fc.constantFrom('/', 'a', 'b', '[ab]', '.', '.*', '/?', '(a|ab)', 'a+', '\\d', '(?:/|b)*?', '%2F'), {
    minLength: 1,
    maxLength: 5,
  })
  .map((pieces) => pieces.join(''));
const value = fc.constantFrom('1', '2', '', '12', 'a b');
const valueMatch = fc.oneof(
  value,
  fc.record({ regex: fc.constantFrom('1', '[12]', '1|12', '.*', '\\d+', '', 'a.b') }),
  fc.record({ present: fc.boolean() }),
);
const valueMatches = (names: readonly string[]) =>
  fc.dictionary(fc.constantFrom(...names), valueMatch, { minKeys: 1, maxKeys: 2 });
const address = fc.constantFrom(
  '10.0.0.1',
  '10.0.0.2',
  '10.1.0.1',
  '11.0.0.1',
  '2001:db8::1',
  'fe80::1',
  '::',
);
const network = fc.oneof(
  address,
  fc.constantFrom('10.0.0.0/8', '10.0.0.0/31', '0.0.0.0/0', '2001:db8::/32', '::/0', 'fe80::/10', '::/97'),
);

const conditions = {
  host: listOf(pattern),
  path: listOf(path),
  path_prefix: listOf(path),
  path_regex: listOf(pathRegex),
  method: listOf(method),
  headers: valueMatches(['X', 'y']),
  query: valueMatches(['q', 'ä', 'a b']),
  cookie: valueMatches(['s', 'S']),
  client: listOf(network),
  listener: listOf(fc.constantFrom('web', 'web', 'other')),
};
const match: fc.Arbitrary<RouteMatch> = fc.record(
  { ...conditions, not: fc.record(conditions, { requiredKeys: [] }) },
  { requiredKeys: [] },
);
// Of all keys at once hardly anything is ever found.
const shortMatch = fc
  .tuple(match, fc.shuffledSubarray([...Object.keys(conditions), 'not'], { minLength: 1, maxLength: 3 }))
  .map(([all, keys]): RouteMatch =>
    Object.fromEntries(Object.entries(all).filter(([key]) => keys.includes(key))),
  );
const rule: fc.Arbitrary<RouteRule> = fc.record(
  { match: fc.oneof(match, shortMatch), pool: fc.constant('p') },
  { requiredKeys: ['pool'] },
);
// Those without any of these fit so much that, first in the list, they would hide what is behind them.
const selective = rule.filter(({ match: keys }) => Boolean(keys?.host ?? keys?.path ?? keys?.path_regex));

export const ruleList: fc.Arbitrary<RouteRule[]> = fc
  .tuple(fc.array(selective, { maxLength: 20 }), fc.array(rule, { maxLength: 4 }))
  .map((lists) => lists.flat());

const parameter = fc
  .tuple(
    fc.constantFrom('q', 'q', '%71', 'ä', '%C3%a4', 'a+b', 'a%20b', 'x'),
    fc.constantFrom('=1', '=2', '=12', '', '=', '=%31', '=a+b', '=1=2'),
  )
  .map((pair) => pair.join(''));
const query = fc.array(parameter, { maxLength: 4 }).map((parameters) => parameters.join('&'));
const cookie = fc
  .tuple(fc.constantFrom('s', 'S', ' s', 'x'), fc.constantFrom('=1', '=12', '', '=', ' = 2 ', '=a b'))
  .map((pair) => pair.join(''));
const headers = fc.record(
  { x: value, y: value, cookie: fc.array(cookie, { maxLength: 3 }).map((cookies) => cookies.join(';')) },
  { requiredKeys: [] },
);

export const askedHead: fc.Arbitrary<readonly [RoutableHead, Asker]> = fc.tuple(
  fc.record({ method, host, path, query, headers }).map(headOf),
  address.map(clientAt),
);
