import fc from 'fast-check';
import { judge, type Verdict } from '../../src/agent/judge';
import { Rules, type Served } from '../../src/agent/rules';
import type { RouteConfig } from '../../src/config/model';
import { makeFlow } from '../../src/kernel/flow';
import { Http1Peek } from '../../src/peek/http1';
import { Maglev } from '../../src/balance/maglev';
import { hashKey } from '../../src/balance/hash-key';
import type { RoutingTable, TablePool } from '../../src/wire/routing-table';

const ASKER = { client: makeFlow('192.0.2.1', 1000, '198.19.0.1', 80) };
const BACKENDS = ['b1', 'b2', 'b3'].map((name) => ({ name, weight: 1, origin: `http://${name}:80` }));

function headOf(path: string, fields: Readonly<Record<string, string>> = {}): Http1Peek {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const bytes = Buffer.from(`GET ${path} HTTP/1.1\r\nHost: a\r\n${lines.join('')}\r\n`);
  const head = new Http1Peek(16_384);
  expect(head.read(bytes, bytes.length)).toBe('head');
  return head;
}

const pool = (name: string, here: boolean, more: Partial<TablePool> = {}): TablePool => ({
  name,
  here,
  fallback: 'proxy',
  backends: BACKENDS,
  ...more,
});

const rulesOf = (routes: readonly RouteConfig[], pools: readonly TablePool[]): Rules =>
  new Rules({
    self: 'b1',
    head_bytes: 16_384,
    listeners: [
      { name: 'web', address: '198.19.0.1', port: 80, routing: 'per-request' },
      { name: 'web', address: '0.0.0.0', port: 81, routing: 'forward' },
      { name: 'web', address: '2001:db8::1', port: 80, routing: 'forward' },
      { name: 'web', address: '::', port: 82, routing: 'per-connection' },
    ],
    pools: [...pools],
    routes: [...routes],
  } satisfies RoutingTable);

const ask = (rules: Rules, path: string, fields = {}, last?: Served): Verdict =>
  judge(rules, headOf(path, fields), ASKER, last);

test('a request is here, elsewhere or answered as its route says', () => {
  const rules = rulesOf(
    [
      { match: { path: ['/ok'] }, respond: { status: 200, headers: { 'X-A': 'b' }, body: 'ok' } },
      { match: { path: ['/old'] }, redirect: { to: 'https://{host}/new', status: 308 } },
      { match: { path: ['/no'] }, deny: { status: 403 } },
      {
        match: { path_prefix: ['/a'] },
        pool: 'a',
        edits: { set: [['X-B', 'c']], remove: [], strip_prefix: '/a' },
      },
      { match: { path_prefix: ['/b'] }, pool: 'b', edits: { set: [['X-B', 'd']], remove: [] } },
      { match: { path_prefix: ['/r'] }, pool: 'refusing' },
      { match: { path_prefix: ['/plain'] }, pool: 'a' },
    ],
    [pool('a', true), pool('b', false), pool('refusing', false, { fallback: 'refuse' })],
  );
  const said = (path: string): unknown => {
    const verdict = ask(rules, path);
    if (verdict.is === 'elsewhere') return { ...verdict, destination: verdict.relayed() };
    return verdict.is === 'answer' ? verdict.destination : verdict;
  };
  expect(said('/ok')).toMatchObject({ status: 200, body: Buffer.from('ok') });
  expect(said('/old')).toMatchObject({
    status: 308,
    fields: expect.arrayContaining(['https://a/new']) as unknown,
  });
  expect(said('/no')).toMatchObject({ status: 403 });
  expect(said('/none')).toBe(404);
  expect(said('/plain')).toEqual({ is: 'here', changes: undefined, served: { pool: 'a', key: '' } });
  expect(said('/a/x')).toMatchObject({ is: 'here', changes: { path: '/x', set: [['X-B', 'c']] } });
  expect(said('/b/x')).toMatchObject({
    is: 'elsewhere',
    pool: 'b',
    destination: {
      origin: expect.stringMatching(/^http:\/\/b[123]:80$/) as unknown,
      changes: { set: [['X-B', 'd']] },
    },
  });
  expect(said('/r')).toMatchObject({ is: 'elsewhere', pool: 'refusing', destination: 503 });
});

test('an origin that was tried is not tried again, and all of them get their turn', () => {
  const rules = rulesOf([{ pool: 'b' }], [pool('b', false)]);
  const verdict = ask(rules, '/');
  const destination = verdict.is === 'elsewhere' ? verdict.relayed() : 404;
  if (typeof destination !== 'object' || !('origin' in destination)) throw new Error('not relayed');
  const { origin, another } = destination;
  const tried = [origin];
  for (let next = another?.(tried); next !== undefined; next = another?.(tried)) tried.push(next);
  expect(tried.sort()).toEqual(BACKENDS.map((backend) => backend.origin));
});

test('where chance decides, a request is here if it may be', () => {
  const split = (pools: { name: string; weight: number }[]): RouteConfig[] => [{ split: { pools } }];
  const pools = [pool('a', true), pool('b', false)];
  const here = rulesOf(
    split([
      { name: 'b', weight: 99 },
      { name: 'a', weight: 1 },
    ]),
    pools,
  );
  const none = rulesOf(
    split([
      { name: 'b', weight: 1 },
      { name: 'a', weight: 0 },
    ]),
    pools,
  );
  for (let k = 0; k < 50; k++) {
    expect(ask(here, '/')).toMatchObject({ is: 'here', served: { pool: 'a' } });
    expect(ask(none, '/')).toMatchObject({ is: 'elsewhere', pool: 'b' });
  }
});

test('where a key decides, it does', () => {
  const shares = [
    { name: 'a', weight: 1 },
    { name: 'b', weight: 1 },
  ];
  const rules = rulesOf(
    [{ split: { pools: shares, by: 'header:X-User' } }],
    [pool('a', true), pool('b', false)],
  );
  const verdicts = Array.from({ length: 200 }, (_, k) => ask(rules, '/', { 'X-User': `u${k}` }).is);
  expect(new Set(verdicts)).toEqual(new Set(['here', 'elsewhere']));
  expect(verdicts).toEqual(Array.from({ length: 200 }, (_, k) => ask(rules, '/', { 'X-User': `u${k}` }).is));
});

test('in a pool that hashes, a request is here as long as its key leads here, or led the last one here', () => {
  const rules = rulesOf([{ pool: 'a' }], [pool('a', true, { hash: 'header:X-User' })]);
  const candidates = BACKENDS.map(({ name, weight }) => ({ name, weight, available: true, load: 0 }));
  const balancer = new Maglev(candidates);
  const keyOf = hashKey('header:X-User');
  fc.assert(
    fc.property(fc.stringMatching(/^[a-z0-9]{1,8}$/), (user) => {
      const fields = { 'X-User': user };
      const key = keyOf(headOf('/', fields), ASKER);
      const home = balancer.pick(key, [])?.name;
      expect(ask(rules, '/', fields).is).toBe(home === 'b1' ? 'here' : 'elsewhere');
      // The front has led the last one here, because its home is away.
      expect(ask(rules, '/', fields, { pool: 'a', key }).is).toBe('here');
      expect(ask(rules, '/', fields, { pool: 'other', key }).is).toBe(home === 'b1' ? 'here' : 'elsewhere');
      const verdict = ask(rules, '/', fields);
      if (verdict.is === 'elsewhere')
        expect(verdict.relayed()).toMatchObject({ origin: `http://${home}:80` });
    }),
    { numRuns: 300 },
  );
});

test('a session is where its cookie says, if there is such a backend', () => {
  const rules = rulesOf([{ pool: 'a' }], [pool('a', true, { sticky: 'at' })]);
  const at = (cookie: string): Verdict => ask(rules, '/', { Cookie: cookie });
  expect(at('x=b2; at=b1').is).toBe('here');
  const away = at('at=b2');
  expect(away.is === 'elsewhere' && away.relayed()).toMatchObject({ origin: 'http://b2:80' });
  expect(at('at=gone').is).toBe('here');
  expect(ask(rules, '/').is).toBe('here');
});

test('a listener is found by its address, or by any', () => {
  const rules = rulesOf([{ pool: 'a' }], [pool('a', true)]);
  const routing = (host: string, port: number): string =>
    rules.listenerOf(makeFlow(host.includes(':') ? '2001:db8::9' : '192.0.2.1', 1, host, port)).routing;
  expect(routing('198.19.0.1', 80)).toBe('per-request');
  expect(routing('198.19.0.9', 81)).toBe('forward');
  expect(routing('2001:db8::1', 80)).toBe('forward');
  expect(routing('2001:db8::2', 82)).toBe('per-connection');
  // One that the front has no more.
  expect(routing('198.19.0.1', 82)).toBe('per-request');
});
