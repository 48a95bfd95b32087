import fc from 'fast-check';
import type { ListenerConfig, PoolConfig, RouteConfig } from '../../src/config/model';
import { carriesOneRequest, isFollowed, OneRequest } from '../../src/front/one-request';
import { Http1Peek } from '../../src/peek/http1';
import { DumpBuffer } from '../../src/repair/dump';
import * as layout from '../../src/repair/layout';
import { makeSnapshot } from '../repair/snapshots';

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
  expect(carriesOneRequest(listener('per-request'), { routes: onePool, pools })).toBe(false);
  expect(carriesOneRequest(listener('per-request'), { routes: twoPools, pools })).toBe(true);
  expect(carriesOneRequest(listener('per-connection'), { routes: onePool, pools })).toBe(false);
  expect(carriesOneRequest(listener('per-connection'), { routes: twoPools, pools })).toBe(false);
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
  expect(carriesOneRequest(listener('per-request'), { routes, pools })).toBe(one);
  expect(carriesOneRequest(listener('per-connection'), { routes, pools })).toBe(false);
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

/** A dump with these queues; `room` bytes of memory in all, as far as that is enough. */
function dumped(
  queues: readonly [string, string, string],
  room: number,
): { into: DumpBuffer; length: number } {
  const snapshot = makeSnapshot({ queues: [queues[0].length, queues[1].length, queues[2].length] });
  snapshot.write(queues.join(''), layout.HEADER_BYTES, 'latin1');
  // The received bytes, the segment that updated the client's window, and our last update.
  for (const field of [layout.RECEIVE_SEQUENCE, layout.WINDOW, layout.WINDOW + 16]) {
    snapshot.writeUInt32BE(0xfffffff0, field);
  }
  const into = new DumpBuffer();
  into.bytes = Buffer.allocUnsafe(Math.max(room, snapshot.length));
  into.queues = into.bytes.subarray(layout.HEADER_BYTES);
  snapshot.copy(into.bytes);
  return { into, length: snapshot.length };
}

test('a dump is limited to its first request: the head closes, everything else stays', () => {
  const oneRequest = new OneRequest(HEAD_BYTES);
  const heads = fc.constantFrom(
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'],
    [
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ],
    [
      'GET / HTTP/1.1\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nHost: a\r\n\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ],
  );
  const octets = fc.string({ unit: 'binary-ascii', maxLength: 300 });
  fc.assert(
    fc.property(
      heads,
      octets,
      octets,
      octets,
      fc.nat(1000),
      ([head = '', closing = ''], body, sent, unsent, room) => {
        const { into, length } = dumped([head + body, sent, unsent], room);
        const before = Buffer.from(into.bytes.subarray(0, layout.HEADER_BYTES));
        const limited = oneRequest.limit(into, length);
        const bytes = into.bytes.subarray(0, limited);
        expect(() => layout.checkSnapshot(bytes, 0, limited)).not.toThrow();
        expect(bytes.toString('latin1', layout.HEADER_BYTES)).toBe(closing + body + sent + unsent);
        // All other fields are as they were.
        expect(bytes[layout.FLAGS]).toBe(layout.ONE_REQUEST);
        expect(bytes.readUInt32BE(layout.RECEIVE_LENGTH)).toBe(closing.length + body.length);
        bytes[layout.FLAGS] = 0;
        before.copy(bytes, layout.RECEIVE_LENGTH, layout.RECEIVE_LENGTH, layout.RECEIVE_LENGTH + 4);
        expect(bytes.subarray(0, layout.HEADER_BYTES)).toEqual(before);
        expect(into.queues.buffer).toBe(into.bytes.buffer);
      },
    ),
    { numRuns: 500 },
  );
});

test('a queue that would grow beyond its limit stays where it is', () => {
  const head = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
  const { into, length } = dumped([head + 'x'.repeat(layout.MAX_QUEUE_BYTES - head.length), '', ''], 0);
  expect(() => new OneRequest(HEAD_BYTES).limit(into, length)).toThrow(/bytes queued, too many/);
});
