import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { ParsedHead } from '../../src/agent/parsed-head';
import { Http1Peek } from '../../src/peek/http1';
import { mutate, mutation, validHead } from '../peek/generated-heads';
import { readWithNode, type NodeRequest } from '../peek/node-reader';

const HEAD_BYTES = 8192;
const HOST = 'Host: a.example\r\n';

const parsed = ({ method, url, version, raw, upgraded }: NodeRequest): IncomingMessage =>
  ({ method, url, httpVersion: version, rawHeaders: raw, upgrade: upgraded }) as unknown as IncomingMessage;

/** The first request that Node's server finds. */
async function firstOf(text: string): Promise<NodeRequest | undefined> {
  return (await readWithNode([Buffer.from(text, 'latin1')])).requests[0];
}

/** Whether it is a plain head, which Http1Peek must understand in the same way then. */
async function compare(text: string): Promise<boolean> {
  const request = await firstOf(text);
  const head = new ParsedHead();
  if (request === undefined || !head.read(parsed(request), HEAD_BYTES)) return false;
  const peek = new Http1Peek(HEAD_BYTES);
  // Of empty lines, and of blanks in the request line, the parser takes more than Http1Peek.
  const [line = '', ...lines] = text.replace(/^[\r\n]+/, '').split('\r\n');
  const bytes = Buffer.from([line.replace(/ +/g, ' '), ...lines].join('\r\n'), 'latin1');
  expect([peek.read(bytes, bytes.length), peek.reason, text]).toEqual(['head', '', text]);
  const names = request.raw.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase());
  const said = (of: ParsedHead | Http1Peek): unknown[] => [
    of.method,
    of.host,
    of.path,
    of.query,
    ...['x-none', ...names].map((name) => of.header(name)),
  ];
  expect(said(head)).toEqual(said(peek));
  expect([peek.upgrade, peek.chunked, `1.${peek.minorVersion}`]).toEqual([false, false, request.version]);
  expect(Number(head.header('content-length') ?? -1)).toBe(peek.contentLength);
  return true;
}

test.each([
  ['GET / HTTP/1.1', HOST],
  ['POST /a/%62?c=d?e HTTP/1.1', `host: A.Example:8080\r\nContent-Length: 3\r\n`],
  ['DELETE /"<>[]^`{|}~ HTTP/1.1', 'HOST: 192.0.2.1\r\nCookie: a=b\r\ncookie: c=d\r\nX-A: 1\r\nx-a: 2\r\n'],
  ['GET /?\\ HTTP/1.1', `${HOST}X: \xe9\t \xff \r\n`],
  ['GET / HTTP/1.1', 'Host: a.example:64999\r\n'],
  ['GET / HTTP/1.0', `${HOST}Connection: keep-alive\r\n`],
])('plain: %s %j', async (line, fields) => {
  expect(await compare(`${line}\r\n${fields}\r\n`)).toBe(true);
});

test.each([
  ['OPTIONS * HTTP/1.1', HOST],
  ['GET http://a.example/ HTTP/1.1', HOST],
  ['GET /\\a HTTP/1.1', HOST],
  ['GET / HTTP/1.0', ''],
  ['GET /', HOST],
  ['GET / HTTP/1.1', 'Host: [::1]\r\n'],
  ['GET / HTTP/1.1', 'Host: a.example:65536\r\n'],
  ['GET / HTTP/1.1', 'Host: a.example@b.example\r\n'],
  ['GET / HTTP/1.1', 'Host:\r\n'],
  ['GET / HTTP/1.1', `${HOST}host: a.example\r\n`],
  ['GET / HTTP/1.1', `Host:\r\n${HOST}`],
  ['POST / HTTP/1.1', `${HOST}Content-Length: 9007199254740993\r\n`],
  ['POST / HTTP/1.1', `${HOST}Transfer-Encoding: chunked\r\n`],
  ['POST / HTTP/1.1', `${HOST}Content-Length: 1\r\nExpect: 100-continue\r\n`],
  ['GET / HTTP/1.1', `${HOST}Connection: upgrade\r\nUpgrade: websocket\r\n`],
  ['GET / HTTP/1.1', `${HOST}Upgrade: websocket\r\n`],
  ['GET / HTTP/1.1', HOST + 'X: y\r\n'.repeat(100)],
  ['GET / HTTP/1.1', `${HOST}X: ${'y'.repeat(8000)}\r\nY: ${'y'.repeat(400)}\r\n`],
])('not plain: %s %j', async (line, fields) => {
  expect(await firstOf(`${line}\r\n${fields}\r\n`)).toBeDefined();
  expect(await compare(`${line}\r\n${fields}\r\n`)).toBe(false);
});

test('as long as a head may be, and no longer', async () => {
  const head = `GET /?${'a'.repeat(100)} HTTP/1.1\r\n${HOST}\r\n`;
  const request = parsed((await firstOf(head)) as NodeRequest);
  expect(new ParsedHead().read(request, head.length)).toBe(true);
  expect(new ParsedHead().read(request, head.length - 1)).toBe(false);
});

test('a plain head means the same to both readers', async () => {
  let plain = 0;
  await fc.assert(
    fc.asyncProperty(validHead, fc.option(mutation, { freq: 1 }), async ({ text, method }, change) => {
      // Node's parser knows some methods, and not whatever looks like one.
      const known = text.replace(method, 'GET');
      if (await compare(change === null ? known : mutate(known, change))) plain += 1;
    }),
    { numRuns: 2000 },
  );
  expect(plain).toBeGreaterThan(20);
});
