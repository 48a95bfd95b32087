import fc from 'fast-check';
import { HeadEditor } from '../../src/front/head-editor';
import { DumpBuffer } from '../../src/repair/dump';
import * as layout from '../../src/repair/layout';
import { makeSnapshot } from '../repair/snapshots';

const HEAD_BYTES = 16_384;

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
  const editor = new HeadEditor(HEAD_BYTES, 0);
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
        const limited = editor.edit(into, length, true);
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
  expect(() => new HeadEditor(HEAD_BYTES, 0).edit(into, length, true)).toThrow(/bytes queued, too many/);
});

test('changes are made in the dump, with and without a limit to one request', () => {
  const head = 'POST /api/a HTTP/1.1\r\nHost: a\r\nX-Debug: 1\r\nContent-Length: 4\r\n\r\n';
  const changes = { path: '/a', set: [['X-Tenant', 'gold']] as const, without: ['x-debug', 'x-tenant'] };
  const edited = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX-Tenant: gold\r\n';
  for (const [oneRequest, line] of [
    [false, ''],
    [true, 'Connection: close\r\n'],
  ] as const) {
    const { into, length } = dumped([`${head}body`, 'sent', 'unsent'], 0);
    const edits = new HeadEditor(HEAD_BYTES, 'X-Tenant: gold\r\n'.length).edit(
      into,
      length,
      oneRequest,
      changes,
    );
    const bytes = into.bytes.subarray(0, edits);
    expect(() => layout.checkSnapshot(bytes, 0, edits)).not.toThrow();
    expect(bytes.toString('latin1', layout.HEADER_BYTES)).toBe(`${edited}${line}\r\nbodysentunsent`);
    expect(bytes[layout.FLAGS]).toBe(oneRequest ? layout.ONE_REQUEST : 0);
  }
});

test('the longest head with the most changes has room', () => {
  const options = Array.from({ length: 7000 }, () => 'x').join(',');
  const begin = `GET / HTTP/1.1\r\nHost: a\r\nConnection:${options}\r\nX:`;
  const head = `${begin}${'y'.repeat(HEAD_BYTES - begin.length - 4)}\r\n\r\n`;
  const value = 'z'.repeat(1000);
  const set = Array.from({ length: 8 }, (_, k) => [`X-${k}`, value] as const);
  const added = set.reduce((sum, [name]) => sum + name.length + value.length + 4, 0);
  const { into, length } = dumped([head, '', ''], 0);
  const edited = new HeadEditor(HEAD_BYTES, added).edit(into, length, true, {
    set,
    without: set.map(([name]) => name.toLowerCase()),
  });
  const text = into.bytes.toString('latin1', layout.HEADER_BYTES, edited);
  expect(text).toContain(`X-7: ${value}\r\nConnection: close, ${options.replaceAll(',', ', ')}\r\n\r\n`);
  expect(text.endsWith('\r\n\r\n')).toBe(true);
});
