import type { ListenerConfig, PoolConfig, RouteConfig } from '../../src/config/model';
import { needsJudging, isFollowed } from '../../src/front/judging';
import { Http1Peek } from '../../src/peek/http1';

const HEAD_BYTES = 16_384;

const listener = (routing: ListenerConfig['routing']): ListenerConfig => ({
  name: 'web',
  bind: { host: '198.19.0.1', port: 80, family: 4 },
  protocol: 'http',
  routing,
});

test('a connection carries one request where a later one could lead elsewhere, unless that is wanted', () => {
  const onePool: RouteConfig[] = [{ pool: 'web' }];
  const twoPools: RouteConfig[] = [{ match: { path: ['/api'] }, pool: 'api' }, { pool: 'web' }];
  const pools: readonly PoolConfig[] = [];
  expect(needsJudging(listener('per-request'), { routes: onePool, pools })).toBe(false);
  expect(needsJudging(listener('per-request'), { routes: twoPools, pools })).toBe(true);
  const edited: RouteConfig[] = [{ pool: 'web', edits: { set: [], remove: ['x-debug'] } }];
  const answered: RouteConfig[] = [{ match: { path: ['/ok'] }, deny: { status: 403 } }, { pool: 'web' }];
  for (const routes of [edited, answered]) {
    expect(needsJudging(listener('per-request'), { routes, pools })).toBe(true);
    expect(needsJudging(listener('per-connection'), { routes, pools })).toBe(false);
  }
  expect(needsJudging(listener('per-connection'), { routes: onePool, pools })).toBe(false);
  expect(needsJudging(listener('per-connection'), { routes: twoPools, pools })).toBe(false);
});

test.each([
  [undefined, false],
  ['client', false],
  ['path', true],
  ['header:x-user', true],
  ['cookie:sid', true],
])('a pool with the hash %s: one request is %s', (hash, one) => {
  const routes = [{ pool: 'web' }];
  const pool = { name: 'web', balance: 'maglev', fallback: 'proxy', backends: [] } as const;
  const pools = [hash === undefined ? pool : { ...pool, hash }];
  expect(needsJudging(listener('per-request'), { routes, pools })).toBe(one);
  expect(needsJudging(listener('per-connection'), { routes, pools })).toBe(false);
});

test.each<[string, boolean, string]>([
  ['a head alone', false, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a head and more', true, 'GET / HTTP/1.1\r\nHost: a\r\n\r\nG'],
  ['a body on its way', false, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1'],
  ['a body', false, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n12'],
  ['a body and more', true, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n123'],
  ['chunks', false, 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG'],
])('%s: followed is %s', (_what, followed, text) => {
  const head = new Http1Peek(HEAD_BYTES);
  const bytes = Buffer.from(text);
  expect(head.read(bytes, bytes.length)).toBe('head');
  expect(isFollowed(head, bytes.length)).toBe(followed);
});

test('a connection without a head carries no requests', () => {
  const routes: RouteConfig[] = [{ match: { path: ['/api'] }, pool: 'api' }, { pool: 'web' }];
  const raw: ListenerConfig = { ...listener('per-request'), protocol: 'tcp' };
  expect(needsJudging(raw, { routes, pools: [] })).toBe(false);
});
