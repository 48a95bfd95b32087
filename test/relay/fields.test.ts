import type { IncomingMessage } from 'node:http';
import { endToEnd, listOf, requestFields } from '../../src/relay/fields';

function message(raw: string[], remoteAddress: string | undefined = '192.0.2.7'): IncomingMessage {
  const at = raw.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'host');
  const headers = at < 0 ? {} : { host: raw[at + 1] };
  return { rawHeaders: raw, headers, socket: { remoteAddress } } as unknown as IncomingMessage;
}

const FORWARDED = [
  'X-Forwarded-For',
  '192.0.2.7',
  'X-Forwarded-Proto',
  'http',
  'X-Forwarded-Host',
  'a.example',
];

describe('endToEnd', () => {
  test('keeps order, spelling and repetition', () => {
    const raw = ['sEt-CooKie', 'a=1', 'X-B', '2', 'Set-Cookie', 'b=2', 'x-b', ''];
    expect(endToEnd(raw)).toEqual(raw);
  });

  test.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Connection',
    'TE',
    'Trailer',
    'Transfer-Encoding',
    'Upgrade',
  ])('drops %s in any spelling', (name) => {
    expect(endToEnd([name, 'x', 'A', '1', name.toLowerCase(), 'y'])).toEqual(['A', '1']);
  });

  test('drops what any Connection line names', () => {
    const raw = [
      'Connection',
      'close, X-One',
      'X-One',
      '1',
      'connection',
      ' x-TWO ,,',
      'X-Two',
      '2',
      'X-3',
      '3',
    ];
    expect(endToEnd(raw)).toEqual(['X-3', '3']);
  });

  test('is not talked out of Host and Content-Length', () => {
    const raw = ['Connection', 'host, content-length', 'Host', 'h', 'Content-Length', '5'];
    expect(endToEnd(raw)).toEqual(['Host', 'h', 'Content-Length', '5']);
  });

  test('a length beside a transfer coding is void', () => {
    expect(endToEnd(['Content-Length', '5', 'Transfer-Encoding', 'chunked'])).toEqual([]);
  });

  test('passes authentication between the other two parties', () => {
    const raw = ['Proxy-Authorization', 'x', 'Proxy-Authenticate', 'y'];
    expect(endToEnd(raw)).toEqual(raw);
  });
});

describe('requestFields', () => {
  test('adds who asked, how and for what', () => {
    expect(requestFields(message(['Host', 'a.example', 'A', '1']))).toEqual([
      'Host',
      'a.example',
      'A',
      '1',
      ...FORWARDED,
    ]);
  });

  test('appends to X-Forwarded-For, overwrites the others', () => {
    const raw = ['Host', 'a.example', 'x-forwarded-for', '10.0.0.1, 10.0.0.2', 'X-Forwarded-For', '10.0.0.3'];
    const lies = ['X-Forwarded-Proto', 'https', 'x-forwarded-host', 'evil.example'];
    expect(requestFields(message([...raw, ...lies]))).toEqual([
      'Host',
      'a.example',
      'X-Forwarded-For',
      '10.0.0.1, 10.0.0.2, 10.0.0.3, 192.0.2.7',
      ...FORWARDED.slice(2),
    ]);
  });

  test.each([
    ['::ffff:192.0.2.9', '192.0.2.9'],
    ['2001:db8::1', '2001:db8::1'],
  ])('shows the address %s as %s', (address, shown) => {
    expect(requestFields(message([], address))).toEqual([
      'X-Forwarded-For',
      shown,
      'X-Forwarded-Proto',
      'http',
    ]);
  });

  test('an absolute target replaces the host, or adds it', () => {
    const forwarded = [...FORWARDED.slice(0, 5), 'b.example'];
    expect(requestFields(message(['host', 'a.example']), 'b.example')).toEqual([
      'host',
      'b.example',
      ...forwarded,
    ]);
    expect(requestFields(message([]), 'b.example')).toEqual(['Host', 'b.example', ...forwarded]);
  });

  test('keeps of TE the trailers, and drops Expect', () => {
    const raw = ['Host', 'a.example', 'TE', 'gzip;q=0.5, Trailers', 'Expect', '100-continue'];
    expect(requestFields(message(raw))).toEqual(['Host', 'a.example', 'TE', 'trailers', ...FORWARDED]);
    expect(requestFields(message(['Host', 'a.example', 'TE', 'gzip']))).not.toContain('TE');
  });
});

test('listOf splits, trims and lowers', () => {
  expect(listOf(['A', 'X, y ,', 'b', 'z', 'a', 'Z'], 'a')).toEqual(['x', 'y', 'z']);
});
