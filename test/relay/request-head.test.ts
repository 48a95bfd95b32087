import fc from 'fast-check';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { RequestHead } from '../../src/relay/request-head';
import { parseAddress } from '../../src/kernel/flow';
import type { RoutableHead } from '../../src/peek/head';
import { Http1Peek } from '../../src/peek/http1';

/** What routing looks at. */
const FIELDS = ['host', 'x-tenant', 'accept', 'cookie', 'user-agent', 'x-absent'];

function routable(head: RoutableHead): Record<string, unknown> {
  const { method, host, path, query } = head;
  return { method, host, path, query, fields: FIELDS.map((name) => head.header(name)) };
}

function peeked(text: string): Record<string, unknown> {
  const bytes = Buffer.from(text, 'latin1');
  const peek = new Http1Peek(16_384);
  expect(peek.read(bytes, bytes.length)).toBe('head');
  return routable(peek);
}

let server: Server;

beforeAll(async () => {
  server = createServer((request, response) => {
    server.emit('seen', request);
    response.end();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterAll(() => {
  server.close();
  server.closeAllConnections();
});

/** The same bytes as Node reads them. */
async function parsed(text: string): Promise<Record<string, unknown>> {
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' });
  const seen = once(server, 'seen') as Promise<[IncomingMessage]>;
  const failed = once(client, 'end').then(() =>
    Promise.reject(new Error(`not served: ${JSON.stringify(text)}`)),
  );
  failed.catch(() => undefined);
  client.write(text, 'latin1');
  const [request] = await Promise.race([seen, failed]);
  const read = routable(new RequestHead(request, 'web'));
  client.destroy();
  return read;
}

test.each([
  ['GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n', { host: 'api.example.com', path: '/', query: '' }],
  [
    'GET /a/b?c=d?e HTTP/1.1\r\nHost: A.Example:8080\r\n\r\n',
    { host: 'a.example', path: '/a/b', query: 'c=d?e' },
  ],
  ['GET /a? HTTP/1.1\r\nHost: a:\r\n\r\n', { host: 'a', path: '/a', query: '' }],
  ['GET / HTTP/1.1\r\nHost: [2001:DB8::1]:80\r\n\r\n', { host: '2001:db8::1', path: '/' }],
  ['GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n', { host: '::1' }],
  [
    'GET http://A.example:80/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n',
    { host: 'a.example', path: '/x', query: 'y' },
  ],
  ['GET HTTP://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n', { host: 'a.example', path: '/' }],
  [
    'GET http://a.example?q HTTP/1.1\r\nHost: a.example\r\n\r\n',
    { host: 'a.example', path: '/', query: 'q' },
  ],
  ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', { method: 'OPTIONS', host: 'a', path: '*' }],
  ['GET / HTTP/1.0\r\n\r\n', { host: '', path: '/' }],
  ['GET / HTTP/1.1\r\nHost:\r\n\r\n', { host: '' }],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nX-Tenant: gold \r\nCOOKIE: b=2\r\nx-tenant: \tblue\r\n\r\n',
    { fields: ['a', 'gold, blue', undefined, 'a=1; b=2', undefined, undefined] },
  ],
  [
    'GET / HTTP/1.1\r\nHost: a\r\nX-Tenant: \xe9\xff\r\n\r\n',
    { fields: ['a', '\xe9\xff', ...Array<undefined>(4)] },
  ],
])('%j', async (text, wanted) => {
  const seen = await parsed(text);
  expect(seen).toMatchObject(wanted);
  expect(seen).toEqual(peeked(text));
});

test('agrees with the peeked head on generated requests', async () => {
  const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789';
  const stringOf = (characters: string, minLength: number, maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...Array.from(characters)), minLength, maxLength });
  const request = fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'),
    absolute: fc.boolean(),
    host: fc.oneof(
      stringOf(`${LETTERS}-._~`, 1, 20),
      fc.ipV4(),
      fc.ipV6().map((address) => `[${address}]`),
    ),
    port: fc.option(fc.integer({ min: 0, max: 65535 }), { nil: undefined }),
    path: stringOf(`${LETTERS}-._~!$&'()*+,;=:@/%"<>[]{}|^\``, 0, 30).map((path) => `/${path}`),
    query: fc.option(stringOf(`${LETTERS}-._~!$&'()*+,;=:@/?%[]{}`, 0, 30), { nil: undefined }),
    fields: fc.array(
      fc.record({
        name: fc.constantFrom('X-Tenant', 'accept', 'COOKIE', 'User-Agent', 'x-other'),
        value: stringOf(`${LETTERS} \t,;="\x80\xff`, 0, 20),
      }),
      { maxLength: 6 },
    ),
  });
  const RUNS = 300;
  await fc.assert(
    fc.asyncProperty(request, async ({ method, absolute, host, port, path, query, fields }) => {
      const authority = port === undefined ? host : `${host}:${port}`;
      const target = `${absolute ? `http://${authority}` : ''}${path}${query === undefined ? '' : `?${query}`}`;
      const lines = [`Host: ${authority}`, ...fields.map(({ name, value }) => `${name}:${value}`), '', ''];
      const text = [`${method} ${target} HTTP/1.1`, ...lines].join('\r\n');
      expect(await parsed(text)).toEqual(peeked(text));
    }),
    { numRuns: RUNS },
  );
  process.stdout.write(`request head: ${RUNS} generated requests read alike\n`);
});

test.each([
  ['198.18.1.1', '198.18.1.1'],
  ['::ffff:198.18.1.1', '198.18.1.1'],
  ['2001:2::1', '2001:2::1'],
  ['fe80::1%eth0', 'fe80::1'],
  [undefined, '::'],
])('its client: %s -> %s', (remoteAddress, address) => {
  const request = { url: '/', headers: {}, socket: { remoteAddress } } as unknown as IncomingMessage;
  expect(new RequestHead(request, 'web').client).toEqual(parseAddress(address));
});
