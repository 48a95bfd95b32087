import fc from 'fast-check';
import { asksForTunnel, longestClosingHead, writeClosingHead } from '../../src/peek/closing-head';
import { Http1Peek, MAX_FIELDS } from '../../src/peek/http1';
import { readWithNode, type NodeReading } from './node-reader';

const HEAD_BYTES = 4096;

/** The closing head of a head that must be valid; what follows the head must not matter. */
function closingHead(text: string): { closing: string; tunnel: boolean } {
  const peek = new Http1Peek(HEAD_BYTES);
  const bytes = Buffer.from(`${text}GET /next HTTP/1.1\r\nConnection: keep-alive\r\n`, 'latin1');
  expect(peek.read(bytes, bytes.length)).toBe('head');
  const into = Buffer.alloc(longestClosingHead(text.length), 0xee);
  const length = writeClosingHead(peek, bytes, into);
  return { closing: into.toString('latin1', 0, length), tunnel: asksForTunnel(peek) };
}

const HOST = 'Host: a\r\n';
const WEBSOCKET = 'Upgrade: websocket\r\n';

describe('a head becomes one that closes', () => {
  test.each<[string, string, string]>([
    ['without a Connection field', HOST, `${HOST}Connection: close\r\n`],
    ['that keeps the connection alive', `Connection: keep-alive\r\n${HOST}`, `${HOST}Connection: close\r\n`],
    ['that closes already', `${HOST}Connection: close\r\n`, `${HOST}Connection: close\r\n`],
    ['that cannot decide', `${HOST}Connection: keep-alive, close\r\n`, `${HOST}Connection: close\r\n`],
    [
      'on two lines',
      `connection: Close\r\n${HOST}CONNECTION: Keep-Alive\r\n`,
      `${HOST}Connection: close\r\n`,
    ],
    ['with an empty list', `${HOST}Connection:\r\n`, `${HOST}Connection: close\r\n`],
    [
      'with empty members',
      `${HOST}Connection: ,, x ,\r\nX: 1\r\n`,
      `${HOST}X: 1\r\nConnection: close, x\r\n`,
    ],
    [
      'with fields of old proxies',
      `Proxy-Connection: keep-alive\r\n${HOST}Keep-Alive: timeout=5\r\n`,
      `${HOST}Connection: close\r\n`,
    ],
    [
      'with fields for this connection alone',
      `${HOST}Connection: TE, X-Hop\r\nTE: trailers\r\nX-Hop: 1\r\n`,
      `${HOST}TE: trailers\r\nX-Hop: 1\r\nConnection: close, TE, X-Hop\r\n`,
    ],
    [
      'with options that are none',
      `${HOST}Connection: "a, b", c d, e\r\n`,
      `${HOST}Connection: close, e\r\n`,
    ],
    [
      'with longer names',
      `${HOST}Connections: x\r\nX-Connection: y\r\n`,
      `${HOST}Connections: x\r\nX-Connection: y\r\nConnection: close\r\n`,
    ],
    [
      'that asks for a WebSocket',
      `${HOST}Connection: keep-alive, Upgrade\r\n${WEBSOCKET}`,
      `${HOST}${WEBSOCKET}Connection: close, Upgrade\r\n`,
    ],
    ['with an Upgrade that nobody asks for', `${HOST}${WEBSOCKET}`, `${HOST}Connection: close\r\n`],
    ['with an option and no Upgrade', `${HOST}Connection: upgrade\r\n`, `${HOST}Connection: close\r\n`],
    [
      'that asks for h2c',
      `${HOST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABk\r\n`,
      `${HOST}Connection: close\r\n`,
    ],
    [
      'that asks for h2c among others',
      `${HOST}Connection: Upgrade\r\n${WEBSOCKET}Upgrade: x, h2c\r\n`,
      `${HOST}Connection: close\r\n`,
    ],
    [
      'that asks for an upgrade behind its body',
      `${HOST}Connection: Upgrade\r\n${WEBSOCKET}Content-Length: 1\r\n`,
      `${HOST}Content-Length: 1\r\nConnection: close\r\n`,
    ],
    [
      'that asks for an upgrade behind its chunks',
      `${HOST}Connection: Upgrade\r\n${WEBSOCKET}Transfer-Encoding: chunked\r\n`,
      `${HOST}Transfer-Encoding: chunked\r\nConnection: close\r\n`,
    ],
  ])('%s', (_what, fields, closing) => {
    const line = 'GET /a?b HTTP/1.1\r\n';
    expect(closingHead(`${line}${fields}\r\n`).closing).toBe(`${line}${closing}\r\n`);
  });

  test.each(['Connection: keep-alive\r\n', `Connection: Upgrade\r\n${WEBSOCKET}`, ''])(
    'of HTTP/1.0, with %j',
    (fields) => {
      const line = 'GET /a HTTP/1.0\r\n';
      expect(closingHead(`${line}${fields}\r\n`).closing).toBe(`${line}Connection: close\r\n\r\n`);
    },
  );

  test('of as many fields as there may be, and with an empty line in front', () => {
    const fields = `${HOST}${'A: b\r\n'.repeat(MAX_FIELDS - 1)}`;
    const { closing } = closingHead(`\r\nGET / HTTP/1.1\r\n${fields}\r\n`);
    expect(closing).toBe(`\r\nGET / HTTP/1.1\r\n${fields}Connection: close\r\n\r\n`);
    const bytes = Buffer.from(closing);
    expect(new Http1Peek(HEAD_BYTES, MAX_FIELDS + 1).read(bytes, bytes.length)).toBe('head');
  });

  test('within its bound, whatever the options are', () => {
    const options = Array.from({ length: 500 }, () => 'x').join(',');
    const text = `GET / HTTP/1.1\r\n${HOST}Connection:${options}\r\n\r\n`;
    const { closing } = closingHead(text);
    expect(closing).toContain(`Connection: close, ${options.replaceAll(',', ', ')}\r\n`);
    expect(closing.length).toBeLessThanOrEqual(longestClosingHead(text.length));
  });
});

/** Names that mean something here come often, others at times. */
const option = fc.constantFrom(
  'close',
  'Close',
  'keep-alive',
  'Upgrade',
  'upgrade',
  'TE',
  'X-Hop',
  'HTTP2-Settings',
  '',
  'a b',
);
const connection = fc.array(option, { maxLength: 4 }).map((options) => ['Connection', options.join(', ')]);
const field = fc.oneof(
  connection,
  connection.map(([, value = '']) => ['cOnnEction', value.replaceAll(' ', '')]),
  fc.constantFrom(
    ['Keep-Alive', 'timeout=5'],
    ['Proxy-Connection', 'keep-alive'],
    ['TE', 'trailers'],
    ['X-Hop', '1'],
    ['Upgrade', 'websocket'],
    ['Upgrade', 'h2c'],
    ['HTTP2-Settings', 'AAMAAABk'],
    ['X-Close', 'Connection: close'],
    ['Cookie', 'a=b; c=d'],
    ['X-Latin', '\xe9\xff'],
  ),
);
const head = fc
  .record({
    line: fc.constantFrom(
      'GET /a HTTP/1.1',
      'POST /a?b=c HTTP/1.1',
      'HEAD /a HTTP/1.1',
      'OPTIONS * HTTP/1.1',
      'GET http://a/b HTTP/1.1',
      'GET /a HTTP/1.0',
      'PURGE / HTTP/1.1',
    ),
    fields: fc.array(field, { maxLength: 8 }),
    body: fc.constantFrom(
      '',
      'Content-Length: 0\r\n',
      'Content-Length: 5\r\n',
      'Transfer-Encoding: chunked\r\n',
    ),
  })
  .filter(({ line, body }) => !(line.endsWith('1.0') && body.startsWith('Transfer')))
  .map(
    ({ line, fields, body }) =>
      `${line}\r\nHost: a\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')}${body}\r\n`,
  );

const CHANGED = ['connection', 'keep-alive', 'proxy-connection'];
const UPGRADE = ['upgrade', 'http2-settings'];

/** A reading without what a closing head may change. */
function unchanged({ requests, error }: NodeReading, tunnel: boolean): unknown {
  const left = tunnel ? CHANGED : [...CHANGED, ...UPGRADE];
  const kept = (raw: readonly string[]): string[] =>
    raw.filter((_, i) => !left.includes((raw[i - (i % 2)] ?? '').toLowerCase()));
  return {
    error,
    requests: requests.map(({ method, url, version, raw }) => ({ method, url, version, fields: kept(raw) })),
  };
}

/** All members of the Connection fields, in lower case. */
function optionsOf(reading: NodeReading): string[] {
  const { raw = [] } = reading.requests[0] ?? {};
  const values = raw.filter((_, i) => i % 2 === 1 && raw[i - 1]?.toLowerCase() === 'connection');
  return values.flatMap((value) => value.toLowerCase().split(',')).map((member) => member.trim());
}

test('Node reads from a closing head what it reads from the original, but for Connection', async () => {
  let tunnels = 0;
  await fc.assert(
    fc.asyncProperty(head, async (text) => {
      const { closing, tunnel } = closingHead(text);
      const before = await readWithNode([Buffer.from(text, 'latin1')]);
      const after = await readWithNode([Buffer.from(closing, 'latin1')]);
      expect(unchanged(after, tunnel)).toEqual(unchanged(before, tunnel));
      expect(after.requests).toMatchObject([{ keepsAlive: false, upgraded: tunnel }]);
      expect(optionsOf(after)[0]).toBe('close');
      expect(optionsOf(after)).not.toContain('keep-alive');
      const named = (reading: NodeReading) =>
        optionsOf(reading).filter((each) => each === 'te' || each === 'x-hop');
      expect(named(after)).toEqual(named(before));
      if (tunnel) tunnels += 1;
    }),
    { numRuns: 500 },
  );
  process.stdout.write(`closing heads: 500 read by Node, ${tunnels} of them may leave HTTP\n`);
  expect(tunnels).toBeGreaterThan(5);
}, 30_000);

test('a closing head is closed again to itself', () => {
  fc.assert(
    fc.property(head, (text) => {
      const { closing } = closingHead(text);
      expect(closingHead(closing).closing).toBe(closing);
    }),
    { numRuns: 500 },
  );
});
