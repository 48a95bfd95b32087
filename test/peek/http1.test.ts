import { Http1Peek } from '../../src/peek/http1';
import { HEAD_BYTES, partsOf, readAtEverySplit } from './split';

const LINE = 'GET / HTTP/1.1\r\n';
const LINE_1_0 = 'GET / HTTP/1.0\r\n';
const HOST = 'Host: a.example\r\n';

function peekAt(head: string): Http1Peek {
  const peek = new Http1Peek(HEAD_BYTES);
  expect(peek.read(Buffer.from(head, 'latin1'), head.length)).toBe('head');
  return peek;
}

describe('accepted heads', () => {
  interface Expected {
    readonly method?: string;
    readonly host?: string;
    readonly path?: string;
    readonly query?: string;
    readonly minorVersion?: 0 | 1;
    readonly contentLength?: number;
    readonly chunked?: boolean;
    readonly upgrade?: boolean;
  }
  const good: readonly (readonly [what: string, head: string, expected: Expected])[] = [
    ['the smallest one', `${LINE}${HOST}\r\n`, { method: 'GET', host: 'a.example', path: '/', query: '' }],
    ['HTTP/1.0 without Host', `${LINE_1_0}\r\n`, { minorVersion: 0, host: '', path: '/' }],
    ['HTTP/1.0 with Host', `${LINE_1_0}${HOST}\r\n`, { minorVersion: 0, host: 'a.example' }],
    ['one empty line in front (RFC 9112, 2.2)', `\r\n${LINE}${HOST}\r\n`, { method: 'GET', path: '/' }],
    ['any token as method', `M-SEARCH!x / HTTP/1.1\r\n${HOST}\r\n`, { method: 'M-SEARCH!x' }],
    ['a method of 32 octets', `${'A'.repeat(32)} / HTTP/1.1\r\n${HOST}\r\n`, { method: 'A'.repeat(32) }],
    ['a method in lower case', `get / HTTP/1.1\r\n${HOST}\r\n`, { method: 'get' }],

    ['a query', `GET /a/b?c=d&e=/?f HTTP/1.1\r\n${HOST}\r\n`, { path: '/a/b', query: 'c=d&e=/?f' }],
    ['an empty query', `GET /a? HTTP/1.1\r\n${HOST}\r\n`, { path: '/a', query: '' }],
    ['a path as sent', `GET /A/../%2e//b%zz;c HTTP/1.1\r\n${HOST}\r\n`, { path: '/A/../%2e//b%zz;c' }],
    [
      'visible ASCII, with a backslash in the query alone',
      `GET /"<>^\`{|}~?\\ HTTP/1.1\r\n${HOST}\r\n`,
      { path: '/"<>^`{|}~', query: '\\' },
    ],
    ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, { method: 'OPTIONS', path: '*', query: '' }],
    [
      'an absolute target',
      'GET http://A.example:8080/x?y HTTP/1.1\r\nHost: a.EXAMPLE:8080\r\n\r\n',
      { host: 'a.example', path: '/x', query: 'y' },
    ],
    [
      'an absolute target without path',
      `GET HTTP://a.example HTTP/1.1\r\n${HOST}\r\n`,
      { path: '/', query: '' },
    ],
    [
      'an absolute target with only a query',
      `GET http://a.example?q HTTP/1.1\r\n${HOST}\r\n`,
      { path: '/', query: 'q' },
    ],
    ['the default port of http', `GET http://a.example:80/ HTTP/1.1\r\n${HOST}\r\n`, { host: 'a.example' }],
    [
      'the default port of https',
      'GET https://a.example/ HTTP/1.1\r\nHost: a.example:443\r\n\r\n',
      { host: 'a.example' },
    ],
    [
      'an absolute target in HTTP/1.0 without Host',
      'GET http://b.example/ HTTP/1.0\r\n\r\n',
      { host: 'b.example' },
    ],

    ['Host in any case, with a port', `${LINE}hOST: A.Example:8080\r\n\r\n`, { host: 'a.example' }],
    ['Host with an empty port', `${LINE}Host: a.example:\r\n\r\n`, { host: 'a.example' }],
    ['Host without whitespace', `${LINE}Host:a.example\r\n\r\n`, { host: 'a.example' }],
    ['Host between whitespace', `${LINE}Host: \t a.example \t \r\n\r\n`, { host: 'a.example' }],
    ['an empty Host (RFC 9112, 3.2)', `${LINE}Host:\r\n\r\n`, { host: '' }],
    ['an IPv4 address', `${LINE}Host: 192.0.2.1:80\r\n\r\n`, { host: '192.0.2.1' }],
    ['an IPv6 address', `${LINE}Host: [2001:DB8::1]:80\r\n\r\n`, { host: '2001:db8::1' }],
    ['sub-delimiters in Host', `${LINE}Host: a_;b=c\r\n\r\n`, { host: 'a_;b=c' }],

    ['Content-Length', `${LINE}${HOST}Content-Length: 0042\r\n\r\n`, { contentLength: 42, chunked: false }],
    [
      'the longest body',
      `${LINE}${HOST}Content-Length: 9007199254740991\r\n\r\n`,
      { contentLength: 2 ** 53 - 1 },
    ],
    ['no body', `${LINE}${HOST}\r\n`, { contentLength: -1, chunked: false, upgrade: false }],
    [
      'chunked in any case',
      `${LINE}${HOST}Transfer-Encoding: CHUNKED\r\n\r\n`,
      { contentLength: -1, chunked: true },
    ],
    ['Upgrade', `${LINE}${HOST}Upgrade: websocket\r\n\r\n`, { upgrade: true }],
  ];

  test.each(good)('%s', (_what, head, expected) => {
    expect(readAtEverySplit(head)).toEqual({
      verdict: { outcome: 'head', headLength: head.length },
      decidedAt: head.length,
    });
    expect(partsOf(peekAt(head))).toMatchObject(expected);
  });

  test.each(good)('%s, with bytes behind it that are never looked at', (_what, head) => {
    const peek = new Http1Peek(HEAD_BYTES);
    const bytes = Buffer.from(`${head}\0 not HTTP \n`, 'latin1');
    expect(peek.read(bytes, bytes.length)).toBe('head');
    expect(peek.headLength).toBe(head.length);
  });
});

describe('limits', () => {
  const head = `GET /index.html HTTP/1.1\r\n${HOST}\r\n`;
  const tooLarge = { outcome: 'malformed', reason: 'head_too_large', status: 431 };

  test('a head as long as the limit is accepted', () => {
    const { verdict } = readAtEverySplit(`${head}body`, head.length);
    expect(verdict).toEqual({ outcome: 'head', headLength: head.length });
  });

  test('a head that cannot end within the limit is refused as soon as the limit is reached', () => {
    const { verdict, decidedAt } = readAtEverySplit(head, head.length - 1);
    expect(verdict).toEqual(tooLarge);
    expect(decidedAt).toBe(head.length - 1);
  });

  test.each([
    ['method', 20, 'A'.repeat(40)],
    ['target', 100, `GET /${'a'.repeat(200)}`],
    ['query', 100, `GET /?${'a'.repeat(200)}`],
    ['field name', 100, `${LINE}${'a'.repeat(200)}`],
    ['field value', 100, `${LINE}A: ${'a'.repeat(200)}`],
    ['whitespace', 100, `${LINE}A: ${' '.repeat(200)}`],
  ])('a %s longer than the limit is refused', (_part, limit, bytes) => {
    expect(readAtEverySplit(bytes, limit)).toEqual({ verdict: tooLarge, decidedAt: limit });
  });

  test('a fault before the limit is told as such, one behind it is not', () => {
    expect(readAtEverySplit(`GET /${'a'.repeat(40)}#`, 46).verdict.reason).toBe('target');
    expect(readAtEverySplit(`GET /${'a'.repeat(40)}#`, 45).verdict.reason).toBe('head_too_large');
  });

  test('100 field lines are accepted, the first octet of one more is refused', () => {
    const full = LINE + HOST + 'A: b\r\n'.repeat(99);
    expect(readAtEverySplit(`${full}\r\n`).verdict.outcome).toBe('head');
    expect(readAtEverySplit(`${full}C: d\r\n\r\n`)).toEqual({
      verdict: { outcome: 'malformed', reason: 'too_many_fields', status: 431 },
      decidedAt: full.length + 1,
    });
  });

  test('a length beyond the buffer reads the buffer', () => {
    expect(new Http1Peek(HEAD_BYTES).read(Buffer.from('GET / HT'), 400)).toBe('more');
  });
});

describe('fields', () => {
  const peek = peekAt(
    `${LINE}${HOST}X-Tenant:gold\r\nCOOKIE: a=1; b=2 \r\nX-Name: caf\xe9\r\nAccept: a\r\naccept:\t b\tc\t\r\nX-Empty:\r\n\r\n`,
  );

  test.each([
    ['host', 'a.example'],
    ['x-tenant', 'gold'],
    ['cookie', 'a=1; b=2'],
    ['x-name', 'caf\xe9'],
    ['accept', 'a, b\tc'],
    ['x-empty', ''],
    ['x-tenan', undefined],
    ['', undefined],
  ])('%s', (name, value) => {
    expect(peek.header(name)).toBe(value);
  });
});

test('a reader keeps nothing of the head before', () => {
  const peek = new Http1Peek(HEAD_BYTES);
  const first = Buffer.from(
    'POST http://a.example/x?y HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\nUpgrade: z\r\n\r\n',
  );
  const second = Buffer.from(LINE_1_0 + '\r\n');
  expect(peek.read(first, first.length)).toBe('head');
  expect([peek.method, peek.host, peek.path, peek.query]).toEqual(['POST', 'a.example', '/x', 'y']);
  expect(peek.read(second, second.length)).toBe('head');
  expect([peek.method, peek.host, peek.path, peek.query]).toEqual(['GET', '', '/', '']);
  expect([peek.contentLength, peek.upgrade, peek.header('host')]).toEqual([-1, false, undefined]);
});

describe('heads of real clients', () => {
  test('curl', () => {
    const head =
      'GET /v1/items?id=7 HTTP/1.1\r\nHost: 198.51.100.7:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n';
    expect(readAtEverySplit(head).verdict.outcome).toBe('head');
    expect(partsOf(peekAt(head))).toMatchObject({ host: '198.51.100.7', path: '/v1/items', query: 'id=7' });
  });

  test('Firefox', () => {
    const head =
      'GET / HTTP/1.1\r\nHost: www.example.com\r\n' +
      'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n' +
      'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n' +
      'Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nDNT: 1\r\n' +
      'Connection: keep-alive\r\nCookie: session=abc123; theme="dark"\r\nUpgrade-Insecure-Requests: 1\r\n' +
      'Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nPriority: u=0, i\r\n\r\n';
    expect(readAtEverySplit(head).verdict.outcome).toBe('head');
    expect(partsOf(peekAt(head))).toMatchObject({ host: 'www.example.com', upgrade: false });
    expect(peekAt(head).header('cookie')).toBe('session=abc123; theme="dark"');
  });

  test('Chrome, opening a WebSocket', () => {
    const head =
      'GET /chat HTTP/1.1\r\nHost: localhost:3000\r\nConnection: Upgrade\r\nPragma: no-cache\r\n' +
      'User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n' +
      'Upgrade: websocket\r\nOrigin: http://localhost:3000\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
    expect(readAtEverySplit(head).verdict.outcome).toBe('head');
    expect(partsOf(peekAt(head))).toMatchObject({ host: 'localhost', path: '/chat', upgrade: true });
  });

  test('a form post by fetch', () => {
    const head =
      'POST /login HTTP/1.1\r\nhost: app.example.com\r\nconnection: keep-alive\r\n' +
      'content-type: application/x-www-form-urlencoded\r\ncontent-length: 27\r\nuser-agent: node\r\n\r\n';
    expect(readAtEverySplit(`${head}user=a&password=b`).verdict).toEqual({
      outcome: 'head',
      headLength: head.length,
    });
    expect(partsOf(peekAt(head))).toMatchObject({ method: 'POST', contentLength: 27 });
  });
});
