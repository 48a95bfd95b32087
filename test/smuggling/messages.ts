import type { Random } from '../fuzz/mutator';

/** Requests that the front accepts, of parts that recipients have been known to read differently. */

const METHODS = [
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'OPTIONS',
  'DELETE',
  'PATCH',
  'M-SEARCH',
  'PURGE',
  'SOURCE',
  'TRACE',
];
const TARGETS = [
  ...[
    '/',
    '//',
    '/x//y',
    '/x/../y',
    '/%61dmin',
    '/%2e%2e/x',
    '/x;y=z',
    '/x%2Fy',
    '/%',
    '/%zz',
    '/a:b@c',
    '/"<>^`{|}[]',
  ],
  ...['/?', '/??', '/?a=b&c', '/x?/../y', '/x?http://evil/', '/x?\\', '/*', '/http://evil/', '/.', '/...'],
];
const HOSTS = [
  'a.example',
  'A.Example:8080',
  'a.example.',
  'a_b',
  '192.0.2.1',
  '[2001:DB8::1]',
  '[::ffff:192.0.2.1]:80',
  'a:',
];
const FIELDS = [
  ...[
    'A: b',
    'A:b',
    'A:',
    'A: \t b \t',
    'A: \xe9\xff',
    'Content_Length: 5',
    'Transfer_Encoding: chunked',
    'X-Host: evil',
  ],
  ...[
    'Connection: keep-alive',
    'Connection: Host',
    'Connection: Content-Length',
    'Connection: x, ,y',
    'Connection:',
  ],
  ...[
    'Cookie: a=b',
    'Cookie: c=d',
    'Expect: 100-continue',
    'TE: trailers',
    'Trailer: A',
    'Via: 1.0 x',
    'Keep-Alive: timeout=1',
  ],
  ...[
    'X-Forwarded-For: evil',
    'Upgrade: h2c',
    'Accept: */*',
    'Range: bytes=0-',
    'Proxy-Connection: close',
    'Date: x',
  ],
];
const CLOSING = ['Connection: close', 'Connection: keep-alive, close', 'connection: CLOSE'];
/** What a body is made of: whoever takes it for a request serves it. */
const BODIES = [
  '',
  'x',
  '0\r\n\r\n',
  '5\r\nhello\r\n0\r\n\r\n',
  'GET /smuggled HTTP/1.1\r\nHost: evil\r\n\r\n',
  '\r\n\r\n',
];
const EXTENSIONS = ['', '', ';a', ';a=b', ';a="b;c"'];

/** One to three requests on one connection. */
export function makeStream(random: Random): Buffer {
  const count = 1 + random.below(3);
  return Buffer.from(Array.from({ length: count }, () => makeMessage(random)).join(''), 'latin1');
}

function makeMessage(random: Random): string {
  const host = random.pick(HOSTS);
  const minor = random.oneIn(10) ? 0 : 1;
  const target = random.oneIn(8) ? `http://${host}${random.pick(TARGETS)}` : random.pick(TARGETS);
  const fields = Array.from({ length: random.below(5) }, () => random.pick(FIELDS));
  if (random.oneIn(20)) fields.push(random.pick(CLOSING));
  fields.push(`${random.pick(['Host', 'HOST', 'host'])}: ${host}`);
  const [framing, body] = makeBody(random, minor);
  if (framing !== '') fields.push(framing);
  const blank = random.oneIn(10) ? '\r\n' : '';
  return `${blank}${[`${random.pick(METHODS)} ${target} HTTP/1.${minor}`, ...shuffled(fields, random), '', ''].join('\r\n')}${body}`;
}

function makeBody(random: Random, minor: number): [framing: string, octets: string] {
  const body = random.pick(BODIES);
  if (random.oneIn(3)) return ['', ''];
  if (minor === 0 || random.oneIn(2)) {
    return [
      `${random.pick(['Content-Length', 'content-length'])}: ${random.pick(['', '00'])}${body.length}`,
      body,
    ];
  }
  const chunks = random.oneIn(2) ? [body] : [body.slice(0, 3), body.slice(3)];
  const lines = chunks
    .filter((chunk) => chunk !== '')
    .map((chunk) => `${chunk.length.toString(16)}${random.pick(EXTENSIONS)}\r\n${chunk}\r\n`);
  const trailers = random.oneIn(4) ? 'A: b\r\n' : '';
  return [
    `Transfer-Encoding: ${random.pick(['chunked', 'Chunked'])}`,
    `${lines.join('')}0\r\n${trailers}\r\n`,
  ];
}

function shuffled(list: readonly string[], random: Random): string[] {
  return list
    .map((item) => [random.next(), item] as const)
    .sort(([a], [b]) => a - b)
    .map(([, item]) => item);
}
