import fc from 'fast-check';
import { loadConfig } from '../../src/config/load';
import type { FrontConfig, RouteConfig } from '../../src/config/model';
import { FrontRules } from '../../src/agent/front-rules';
import { AgentTables } from '../../src/front/agent-tables';
import { MAX_ROUTES_BYTES, ProtocolError } from '../../src/wire/frames';
import {
  decodeRoutingTable,
  encodeRoutes,
  encodeRoutingTable,
  type RoutingTable,
} from '../../src/wire/routing-table';
import { EXAMPLES, isAgent, PreparedExamples } from '../config/examples';
import { configOf } from '../config/texts';

const TABLE: RoutingTable = {
  self: 'b1',
  head_bytes: 16_384,
  listeners: [{ name: 'web', address: '198.19.0.1', port: 80, routing: 'per-request' }],
  pools: [
    {
      name: 'web',
      here: true,
      hash: 'cookie:sid',
      sticky: 'at',
      fallback: 'proxy',
      backends: [{ name: 'b1', weight: 1, origin: 'http://198.18.0.21:8080' }],
    },
  ],
  routes: [
    {
      name: 'api',
      match: {
        host: ['*.example.com'],
        path_prefix: ['/api'],
        path_regex: ['/api/[a-z]+'],
        method: ['GET'],
        headers: { 'x-a': 'b', 'x-c': { regex: 'd+' } },
        query: { q: { present: true } },
        cookie: { c: 'd' },
        client: ['10.0.0.0/8'],
        not: { path: ['/api/no'] },
      },
      pool: 'web',
      edits: { set: [['X-A', 'b']], remove: ['x-b'], strip_prefix: '/api', request_id: 'X-Id' },
    },
    { split: { pools: [{ name: 'web', weight: 3 }], by: 'client' } },
    { respond: { status: 200, headers: { 'X-A': 'b' }, body: 'text\n' } },
    { redirect: { to: 'https://{host}{path}', status: 308 } },
    { deny: { status: 403 } },
  ],
};

const encode = (table: RoutingTable): string => encodeRoutingTable(table, encodeRoutes(table.routes)) ?? '';

test('a table is what it was, at the other end', () => {
  expect(decodeRoutingTable(encode(TABLE))).toEqual({ layout: 1, ...TABLE });
});

describe('what the examples are configured for', () => {
  const prepared = new PreparedExamples();
  beforeAll(() => prepared.prepare());
  afterAll(() => prepared.remove());

  test.each(EXAMPLES.filter((name) => !isAgent(name)))('%s: an agent understands it', (name) => {
    const config = configOf(loadConfig(prepared.file(name))) as FrontConfig;
    const text = new AgentTables(config).of('b1') ?? '';
    expect(decodeRoutingTable(text).routes).toEqual(JSON.parse(JSON.stringify(config.routes)));
    const { own } = new FrontRules().open('f1', Buffer.from(text));
    expect(own.headBytes).toBe(config.limits.head_bytes);
  });
});

test('each agent learns where it is, and what its pools go by', () => {
  const backend = (name: string, weight: number) => ({
    name,
    weight,
    agent: { host: '198.18.0.21', port: 7400, family: 4 as const },
    via: [],
    http: { host: '2001:db8::1', port: 80, family: 6 as const },
  });
  const config = {
    listeners: [
      { name: 'l', bind: { host: '::', port: 80, family: 6 }, protocol: 'http', routing: 'forward' },
    ],
    limits: { head_bytes: 1000, connections: 1 },
    routes: [{ pool: 'one' }],
    pools: [
      {
        name: 'one',
        balance: 'maglev',
        hash: 'path',
        fallback: 'proxy',
        backends: [backend('b1', 1), backend('b2', 0)],
      },
      { name: 'two', balance: 'maglev', hash: 'client', fallback: 'refuse', backends: [backend('b2', 1)] },
      { name: 'three', balance: 'round-robin', sticky: 'at', fallback: 'proxy', backends: [] },
    ],
  } as unknown as FrontConfig;
  const poolsOf = (name: string) => decodeRoutingTable(new AgentTables(config).of(name) ?? '').pools;
  expect(poolsOf('b1').map(({ here }) => here)).toEqual([true, false, false]);
  expect(poolsOf('b2').map(({ here }) => here)).toEqual([false, true, false]);
  expect(poolsOf('b1').map(({ hash, sticky }) => [hash, sticky])).toEqual([
    ['path', undefined],
    [undefined, undefined],
    [undefined, 'at'],
  ]);
  expect(poolsOf('b1')[0]?.backends[0]).toEqual({ name: 'b1', weight: 1, origin: 'http://[2001:db8::1]:80' });
});

test('one that is too long for a frame is not sent', () => {
  const routes: RouteConfig[] = Array.from({ length: 200 }, () => ({
    respond: { status: 200, headers: {}, body: 'x'.repeat(60_000) },
  }));
  expect(encodeRoutes(routes).length).toBeGreaterThan(MAX_ROUTES_BYTES);
  expect(encodeRoutingTable(TABLE, encodeRoutes(routes))).toBeUndefined();
});

test.each<[string, string, unknown]>([
  ['another layout', 'layout', 2],
  ['a head of any length', 'head_bytes', 1e9],
  ['a name that is none', 'self', 'b 1'],
  ['a listener at no address', 'listeners', [{ name: 'web', address: 'a', port: 80, routing: 'forward' }]],
  ['a listener of another kind', 'listeners', [{ name: 'web', address: '::', port: 80, routing: 'any' }]],
  [
    'an origin with a path',
    'pools',
    [{ ...TABLE.pools[0], backends: [{ name: 'b', weight: 1, origin: 'http://a/b' }] }],
  ],
  ['a key that it does not know', 'more', true],
  ['no routes', 'routes', null],
  ['a route without an action', 'routes', [{}]],
  ['a route with two', 'routes', [{ pool: 'web', deny: { status: 403 } }]],
  ['a condition that it does not know', 'routes', [{ match: { moon: 'full' }, pool: 'web' }]],
  ['a pattern that is none', 'routes', [{ match: { path_regex: ['('] }, pool: 'web' }]],
  ['a network that is none', 'routes', [{ match: { client: ['10.0.0.0/40'] }, pool: 'web' }]],
  [
    'too many patterns',
    'routes',
    Array.from({ length: 5 }, () => ({ match: { path_regex: Array(1000).fill('a') }, pool: 'web' })),
  ],
  [
    'a field that ends its line',
    'routes',
    [{ pool: 'web', edits: { set: [['X', 'a\r\nb: c']], remove: [] } }],
  ],
  [
    'a field of an answer that ends its line',
    'routes',
    [{ respond: { status: 200, headers: { 'X\r\n': 'a' }, body: '' } }],
  ],
  [
    'more edits than there is room for',
    'routes',
    [{ pool: 'web', edits: { set: Array(9).fill(['X', 'x'.repeat(1000)]), remove: [] } }],
  ],
  ['a status that is none', 'routes', [{ deny: { status: 1000 } }]],
])('%s is refused', (_what, key, value) => {
  const text = JSON.stringify({ layout: 1, ...TABLE, [key]: value });
  expect(() => decodeRoutingTable(text)).toThrow(ProtocolError);
  expect(() => decodeRoutingTable(text)).toThrow(/^routes: /);
});

test('whatever comes is a table or is refused, and what is a table can be judged by', () => {
  const pieces = JSON.stringify({ layout: 1, ...TABLE }).match(/"[^"]*"|\d+|true|[[\]{},:]/g) ?? [];
  const piece = fc.oneof(
    fc.constantFrom(...pieces, 'null', '-1', '1e400', '""', '{}', '[]', '"__proto__"', '"\\u0000"'),
    fc.json({ maxDepth: 2 }),
  );
  let tables = 0;
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(pieces.length - 1), piece), { maxLength: 3 }), (changes) => {
      const changed = [...pieces];
      for (const [at, other] of changes) changed[at] = other;
      try {
        new FrontRules().open('f1', Buffer.from(changed.join('')));
        tables += 1;
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }),
    { numRuns: 3000 },
  );
  process.stdout.write(`routing table: ${tables} of 3000 changed tables are tables\n`);
  expect(tables).toBeGreaterThan(300);
  expect(tables).toBeLessThan(2000);
});
