import type { RoutableHead } from '../../src/peek/head';
import { Router, type RouteMatch, type RouteRule } from '../../src/route/router';
import { CLIENT, clientAt, headOf as head, type HeadParts } from './heads';

function fits(match: RouteMatch, parts: HeadParts): boolean {
  return new Router([{ match, pool: 'p' }]).match(head(parts), CLIENT) !== undefined;
}

describe('rules', () => {
  const gold = {
    match: { host: ['api.example.com'], headers: { 'x-tenant': 'gold' } },
    pool: 'gold',
    note: 1,
  };
  const api = { match: { host: ['api.example.com'] }, pool: 'api', note: 2 };
  const rest = { pool: 'rest', note: 3 };

  test('the first that fits wins, and is returned as it was given', () => {
    const router = new Router([gold, api, rest]);
    expect(router.match(head({ host: 'api.example.com', headers: { 'x-tenant': 'gold' } }), CLIENT)).toBe(
      gold,
    );
    expect(router.match(head({ host: 'api.example.com' }), CLIENT)).toBe(api);
    expect(router.match(head({ host: 'www.example.com' }), CLIENT)).toBe(rest);
    expect(
      new Router([rest, gold]).match(
        head({ host: 'api.example.com', headers: { 'x-tenant': 'gold' } }),
        CLIENT,
      ),
    ).toBe(rest);
  });

  test('none fits', () => {
    expect(new Router([gold, api]).match(head({ host: 'www.example.com' }), CLIENT)).toBeUndefined();
    expect(new Router<RouteRule>([]).match(head({}), CLIENT)).toBeUndefined();
  });

  test('every condition must hold', () => {
    const match = {
      host: ['a.example'],
      path: ['/v1/x'],
      path_prefix: ['/v1'],
      method: ['POST'],
      headers: { a: '1', b: '2' },
    };
    const all = { host: 'a.example', path: '/v1/x', method: 'POST', headers: { a: '1', b: '2' } };
    expect(fits(match, all)).toBe(true);
    expect(fits(match, { ...all, host: 'b.example' })).toBe(false);
    expect(fits(match, { ...all, path: '/v1/y' })).toBe(false);
    expect(fits({ ...match, path_prefix: ['/v2'] }, all)).toBe(false);
    expect(fits(match, { ...all, method: 'GET' })).toBe(false);
    expect(fits(match, { ...all, headers: { a: '1' } })).toBe(false);
  });

  test('heads one after another do not see the path of the one before', () => {
    const router = new Router([{ match: { path: ['/b'] }, pool: 'p' }]);
    expect(router.match(head({ path: '/a' }), CLIENT)).toBeUndefined();
    expect(router.match(head({ path: '/b' }), CLIENT)).toBeDefined();
    expect(router.match(head({ path: '/a' }), CLIENT)).toBeUndefined();
  });

  test('an empty match fits everything', () => {
    expect(fits({}, { host: '', path: '', method: '' })).toBe(true);
  });
});

describe('host', () => {
  test.each([
    ['a.example', 'a.example', true],
    ['A.Example', 'a.example', true],
    ['a.example', 'b.a.example', false],
    ['a.example', 'a.example.org', false],
    ['*.example.com', 'a.example.com', true],
    ['*.EXAMPLE.com', 'a.b.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', '.example.com', false],
    ['*.example.com', 'aexample.com', false],
    ['*.example.com', 'a.example.com.evil', false],
    ['*.example.com', '*.example.com', true],
    ['2001:DB8::1', '2001:db8::1', true],
    ['a.example', '', false],
  ])('%s against %j: %s', (rule, host, expected) => {
    expect(fits({ host: [rule] }, { host })).toBe(expected);
  });

  test('any of the list', () => {
    const host = ['a.example', '*.b.example', '*.c.example', 'd.example'];
    expect(
      ['a.example', 'x.b.example', 'x.c.example', 'd.example'].every((name) =>
        fits({ host }, { host: name }),
      ),
    ).toBe(true);
    expect(fits({ host }, { host: 'b.example' })).toBe(false);
  });
});

describe('path', () => {
  test.each([
    ['/v1', '/v1', true],
    ['/v1', '/v1/', false],
    ['/v1', '/V1', false],
    ['/v1', '/x/../%761', true],
    ['/~a', '/%7Ea', true],
    ['/%7Ea', '/~a', true],
    ['/a%2fb', '/a%2Fb', true],
    ['/a/b', '/a%2Fb', false],
    ['/admin', '/x/%2e%2e/admin', true],
    ['/admin', '//admin', false],
    ['*', '*', true],
  ])('%s against %s: %s', (rule, path, expected) => {
    expect(fits({ path: ['/other', rule] }, { path })).toBe(expected);
  });
});

describe('path_prefix', () => {
  test.each([
    ['/v1', '/v1', true],
    ['/v1', '/v1/', true],
    ['/v1', '/v1/x', true],
    ['/v1', '/v10', false],
    ['/v1', '/v', false],
    ['/v1', '/x/v1', false],
    ['/v1', '//v1', false],
    ['/v1/', '/v1', false],
    ['/v1/', '/v1/x', true],
    ['/', '/', true],
    ['/', '/anything', true],
    ['/', '//', true],
    ['/', '*', false],
    ['/', '', false],
    ['/v1', '/v1/../admin', false],
    ['/admin', '/v1/../admin/x', true],
    ['/admin', '/v1/%2E%2e/%61dmin', true],
    ['/admin', '/%2561dmin', false],
    ['/a/../b', '/b/c', true],
  ])('%s against %j: %s', (rule, path, expected) => {
    expect(fits({ path_prefix: ['/other', rule] }, { path })).toBe(expected);
  });
});

describe('method', () => {
  test.each([
    ['GET', true],
    ['POST', true],
    ['get', false],
    ['PUT', false],
    ['', false],
  ])('%j against GET and POST: %s', (method, expected) => {
    expect(fits({ method: ['GET', 'POST'] }, { method })).toBe(expected);
  });
});

describe('headers', () => {
  test.each([
    [{ 'x-tenant': 'gold' }, true],
    [{ 'x-tenant': 'Gold' }, false],
    [{ 'x-tenant': 'gold, gold' }, false],
    [{ 'x-tenant': '' }, false],
    [{}, false],
  ])('%j against X-Tenant: gold is %s', (headers, expected) => {
    expect(fits({ headers: { 'X-Tenant': 'gold' } }, { headers })).toBe(expected);
  });

  test('an empty value is not the same as an absent field', () => {
    expect(fits({ headers: { a: '' } }, { headers: { a: '' } })).toBe(true);
    expect(fits({ headers: { a: '' } }, {})).toBe(false);
  });
});

describe('headers by pattern or presence', () => {
  test.each([
    [{ regex: 'gold|silver' }, 'gold', true],
    [{ regex: 'gold|silver' }, 'golden', false],
    [{ regex: '.*' }, '', true],
    [{ regex: '.*' }, undefined, false],
    [{ present: true }, '', true],
    [{ present: true }, undefined, false],
    [{ present: false }, '', false],
    [{ present: false }, undefined, true],
  ])('%j against %j: %s', (wanted, value, expected) => {
    const headers = value === undefined ? {} : { 'x-tenant': value };
    expect(fits({ headers: { 'X-Tenant': wanted } }, { headers })).toBe(expected);
  });
});

describe('query', () => {
  test.each([
    ['1', 'q=1', true],
    ['1', 'q=2&q=1', true],
    ['1', 'x=1&q', false],
    ['', 'q', true],
    ['', 'q=', true],
    ['', '', false],
    ['a b', 'q=a+b', true],
    ['a+b', 'q=a%2Bb', true],
    ['a=b', 'q=a=b', true],
    ['1', '%71=%31', true],
    ['1', 'Q=1', false],
    [{ regex: '[0-9]+' }, 'q=x&q=12', true],
    [{ regex: '[0-9]+' }, 'q=12x', false],
    [{ regex: 'a.b' }, 'q=a%0Ab', true],
    [{ present: true }, 'q', true],
    [{ present: true }, 'qq=1', false],
    [{ present: false }, 'qq=1', true],
    [{ present: false }, 'x&q', false],
  ])('%j against %j: %s', (wanted, query, expected) => {
    expect(fits({ query: { q: wanted } }, { query })).toBe(expected);
  });

  test('all of them', () => {
    const query = { q: '1', '__proto__.x': '2', ü: { present: true } };
    expect(fits({ query }, { query: 'q=1&__proto__.x=2&%C3%BC' })).toBe(true);
    expect(fits({ query }, { query: 'q=1&__proto__.x=2' })).toBe(false);
  });

  test.each(['toString', '__proto__'])('a parameter that every object has: %s', (name) => {
    expect(fits({ query: { [name]: { present: true } } }, { query: 'a=b' })).toBe(false);
  });
});

describe('cookie', () => {
  test.each([
    ['1', 's=1', true],
    ['1', 'a=b; s=1; c=d', true],
    ['1', 's=2; s=1', true],
    ['1', 'S=1', false],
    ['1', 's="1"', false],
    ['1', undefined, false],
    ['', 's=', true],
    [{ regex: '[0-9]+' }, 's=x; s=12', true],
    [{ regex: '[0-9]+' }, 's=12x', false],
    [{ present: true }, 's=', true],
    [{ present: true }, 's', false],
    [{ present: false }, 'a=s=1', true],
    [{ present: false }, 's=1', false],
    [{ present: false }, undefined, true],
  ])('%j against %j: %s', (wanted, cookie, expected) => {
    const headers = cookie === undefined ? {} : { cookie };
    expect(fits({ cookie: { s: wanted } }, { headers })).toBe(expected);
  });
});

describe('path_regex', () => {
  test.each([
    ['/v[0-9]+/users', '/v12/users', true],
    ['/v[0-9]+/users', '/v12/users/', false],
    ['/v[0-9]+/users', '/x/../v12/%75sers', true],
    ['/v[0-9]+/users', '/x/v12/users', false],
    ['/a/[^/]+', '/a/b%2fc', true],
    ['/a/b%2Fc', '/a/b%2fc', true],
    ['/a|/ab', '/ab', true],
  ])('%s against %s: %s', (rule, path, expected) => {
    expect(fits({ path_regex: ['/other', rule] }, { path })).toBe(expected);
  });

  test('what is no pattern is said at once', () => {
    expect(() => new Router([{ match: { path_regex: ['('] }, pool: 'p' }])).toThrow(RangeError);
  });
});

describe('client', () => {
  const comesFrom = (client: readonly string[], address: string) =>
    new Router([{ match: { client }, pool: 'p' }]).match(head({}), clientAt(address)) !== undefined;

  test('any of the list', () => {
    const client = ['10.0.0.0/8', '198.18.0.5', '2001:db8::/32'];
    const addresses = ['10.255.0.1', '198.18.0.5', '2001:db8:ffff::1', '::ffff:10.0.0.1'];
    expect(addresses.filter((address) => !comesFrom(client, address))).toEqual([]);
    expect(comesFrom(client, '198.18.0.6')).toBe(false);
    expect(comesFrom(client, '2001:db9::')).toBe(false);
  });

  test('what is no network is said at once', () => {
    expect(() => comesFrom(['10.0.0.0/33'], '10.0.0.1')).toThrow('not an address or network: 10.0.0.0/33');
  });
});

describe('not', () => {
  test('turns a whole match round', () => {
    const match = { path_prefix: ['/a'], not: { method: ['GET'], headers: { 'x-a': '1' } } };
    expect(fits(match, { path: '/a' })).toBe(true);
    expect(fits(match, { path: '/a', headers: { 'x-a': '1' } })).toBe(false);
    expect(fits(match, { path: '/a', headers: { 'x-a': '1' }, method: 'POST' })).toBe(true);
    expect(fits(match, { path: '/b' })).toBe(false);
  });

  test('alone takes what its match does not', () => {
    expect(fits({ not: { host: ['*.example'] } }, { host: 'a.example' })).toBe(false);
    expect(fits({ not: { host: ['*.example'] } }, { host: 'example' })).toBe(true);
  });
});

test('a head and its client are asked for what rules need, and once', () => {
  const asked: string[] = [];
  const note = <T>(what: string, value: T): T => {
    asked.push(what);
    return value;
  };
  const counting: RoutableHead = {
    method: 'GET',
    host: 'a.example',
    path: '/',
    get query() {
      return note('query', 'q=1');
    },
    header: (name) => note(name, 's=1'),
  };
  const asker = {
    get client() {
      return note('client', CLIENT.client);
    },
  };
  const rules = [
    { match: { client: ['10.0.0.0/8'], query: { q: '2' } }, pool: 'never' },
    { match: { client: ['198.18.0.5'], query: { q: '2' } }, pool: 'never' },
    { match: { query: { r: '2' } }, pool: 'never' },
    { match: { cookie: { s: '2' } }, pool: 'never' },
    { match: { cookie: { s: '1' }, query: { q: '1' } }, pool: 'found' },
  ];
  const router = new Router(rules);
  expect(router.match(counting, asker)?.pool).toBe('found');
  expect(asked.sort()).toEqual(['client', 'cookie', 'query']);
  // And again for the next one.
  expect(router.match(head({}), clientAt('10.0.0.1'))).toBeUndefined();
});

test('a head is asked only for what its rules need, and for its path once', () => {
  let asked = 0;
  const counting: RoutableHead = {
    method: 'GET',
    host: 'a.example',
    get path(): string {
      asked++;
      return '/x';
    },
    query: '',
    header: () => {
      throw new Error('no rule gets as far as its headers');
    },
  };
  const rules = [
    { match: { host: ['b.example'], headers: { a: 'b' } }, pool: 'never' },
    { match: { path: ['/y'] }, pool: 'never' },
    { match: { path_prefix: ['/x'] }, pool: 'found' },
  ];
  expect(new Router(rules).match(counting, CLIENT)?.pool).toBe('found');
  expect(asked).toBe(1);
  expect(new Router([{ match: { method: ['GET'] }, pool: 'found' }]).match(counting, CLIENT)?.pool).toBe(
    'found',
  );
  expect(asked).toBe(1);
});
