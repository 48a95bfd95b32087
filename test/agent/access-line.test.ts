import fc from 'fast-check';
import { bounded, formatAccess, formatDropped, type AccessLine } from '../../src/agent/access-line';

const LINE: AccessLine = {
  time: '2026-01-02T03:04:05.678Z',
  client: '198.18.1.1:40000',
  vip: '198.19.0.1:80',
  method: 'GET',
  path: '/a',
  query: 'b=1',
  host: 'api.example.com',
  status: 200,
  bytes: 123,
  duration_ms: 1.25,
  route: 'api',
  pool: 'web',
  backend: 'b1',
  front: 'front-1',
  handoff_us: 812,
  first: true,
  aborted: false,
  user_agent: 'curl/8',
  referer: 'http://r/',
};

test('a line is the fields in their order', () => {
  expect(formatAccess(LINE)).toBe(
    '{"kind":"access","time":"2026-01-02T03:04:05.678Z","client":"198.18.1.1:40000","vip":"198.19.0.1:80","method":"GET",' +
      '"path":"/a","query":"b=1","host":"api.example.com","status":200,"bytes":123,"duration_ms":1.25,"route":"api",' +
      '"pool":"web","backend":"b1","front":"front-1","handoff_us":812,"first":true,"aborted":false,"user_agent":"curl/8",' +
      '"referer":"http://r/"}\n',
  );
});

test.each([
  ['/\u0000\u001b[2J\r\n{"forged":1}', '/\\u0000\\u001b[2J\\r\\n{\\"forged\\":1}'],
  // CSI of the C1 set moves a cursor too.
  ['/\u007f\u009b2J', '/\\u007f\\u009b2J'],
  // é in UTF-8, and an octet that is no UTF-8 at all, as Node has them.
  ['/\u00c3\u00a9\u00ff', '/\\u00c3\\u00a9\\u00ff'],
  // What only an application can put there.
  ['/\u2028\ud800😀', '/\\u2028\\ud800\\ud83d\\ude00'],
])('path %j', (path, written) => {
  expect(formatAccess({ ...LINE, path })).toContain(`"path":"${written}",`);
});

test('whatever a text holds, a line is one line of printable ASCII that says just that', () => {
  const octets = fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
  const text = fc.oneof(octets, fc.string({ unit: 'binary', maxLength: 60 }));
  fc.assert(
    fc.property(text, text, text, (path, host, user_agent) => {
      const line: AccessLine = { ...LINE, path, host, user_agent };
      const written = formatAccess(line);
      expect(written).toMatch(/^[\x20-\x7e]*\n$/);
      expect(JSON.parse(written)).toEqual({ kind: 'access', ...line });
    }),
    { numRuns: 1000 },
  );
});

test('a report of dropped lines looks like them', () => {
  const written = formatDropped('b1', 7, 'ENOSPC: no space left on device');
  expect(written).toMatch(/^[\x20-\x7e]*\n$/);
  expect(JSON.parse(written)).toEqual({
    kind: 'access_dropped',
    time: expect.stringMatching(/^\d{4}-.*Z$/) as string,
    backend: 'b1',
    lines: 7,
    cause: 'ENOSPC: no space left on device',
  });
});

test('long texts are cut', () => {
  expect(bounded('x'.repeat(10), 10)).toBe('x'.repeat(10));
  expect(bounded('x'.repeat(11), 10)).toBe(`${'x'.repeat(10)}...`);
});
