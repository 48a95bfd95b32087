import fc from 'fast-check';
import type { RoutableHead } from '../../src/peek/head';
import { Location, objectionTo } from '../../src/route/location';

const head = (host: string, path: string, query = ''): RoutableHead => ({
  method: 'GET',
  host,
  path,
  query,
  header: () => undefined,
});

test.each<[string, RoutableHead, string | undefined]>([
  ['https://example.com{path}{query}', head('a', '/x/y', 'b=c'), 'https://example.com/x/y?b=c'],
  ['https://example.com{path}{query}', head('a', '/x'), 'https://example.com/x'],
  ['https://example.com', head('a', '/x'), 'https://example.com'],
  ['https://example.com:8443/v2{path}', head('a', '/x'), 'https://example.com:8443/v2/x'],
  ['http://[2001:db8::1]{path}', head('a', '/x'), 'http://[2001:db8::1]/x'],
  ['https://{host}{path}{query}', head('a.example', '/x', 'y'), 'https://a.example/x?y'],
  ['https://{host}:8443/', head('2001:db8::1', '/x'), 'https://[2001:db8::1]:8443/'],
  ['https://www.{host}{path}', head('a.example', '/x'), 'https://www.a.example/x'],
  ['https://{host}/', head('', '/x'), undefined],
  ['https://example.com/?from={host}{path}', head('a', '/x'), 'https://example.com/?from=a/x'],
  ['https://example.com{query}', head('a', '/x', 'b'), 'https://example.com?b'],
  ['/new', head('', '/x'), '/new'],
  ['/new{path}', head('', '/x'), '/new/x'],
  ['/', head('a', '/x'), '/'],
  ['/{query}', head('a', '/x', 'y'), '/?y'],
  // Nothing of these reaches the host or the next line.
  ['https://example.com{path}', head('a', '//evil.example/'), 'https://example.com//evil.example/'],
  ['https://example.com{path}', head('a', '*'), 'https://example.com/'],
  ['https://example.com{path}', head('a', '@evil.example'), 'https://example.com/'],
  [
    'https://example.com{path}{query}',
    head('a', '/\r\nX: 1', 'a\\b"<>\xe9'),
    'https://example.com/%0D%0AX:%201?a%5Cb%22%3C%3E%E9',
  ],
])('%s of %j', (template, request, wanted) => {
  expect(new Location(template).of(request)).toBe(wanted);
});

test.each([
  ['https://x.example:99999{path}', /^is no URL/],
  ['https://[2001:db8::1:2:3:4:5:6:7]/', /^is no URL/],
  ['{path}', /^must begin/],
  ['{host}{path}', /^must begin/],
  ['/{path}', /^must begin/],
  ['/{host}', /^must begin/],
  ['/{query}{path}', /^must begin/],
  ['//evil.example', /^must begin/],
  ['x', /^must begin/],
  ['https:/x', /^must begin/],
  ['https://', /^must begin/],
  ['https:///x', /^must begin/],
  ['https://{path}', /^must begin/],
  ['https://example.com{host}', /^must begin/],
  ['https://{host}.example.com', /^must begin/],
  ['https://user@example.com/', /^must begin/],
  ['https://example.com:x/', /^must begin/],
  ['ftp://example.com/', /^must begin/],
  ['javascript:alert(1)', /^must begin/],
  ['/x{fragment}', /^\{fragment\} is not one of/],
  ['/x{}', /^\{\} is not one of/],
  ['/x{path', /characters that no URL has/],
  ['/x y', /characters that no URL has/],
  ['/\\evil.example', /characters that no URL has/],
  ['/x\r\nX: 1', /characters that no URL has/],
  ['/\xe9', /characters that no URL has/],
])('%j is refused', (template, objection) => {
  expect(objectionTo(template)).toMatch(objection);
  expect(() => new Location(template)).toThrow(`redirect to ${template}: `);
});

test('no request chooses the host, for whoever reads the location as a browser does', () => {
  const text = fc.string({
    unit: fc.constantFrom('/', '\\', '.', '@', ':', '?', '%', 'a', '\r', '\n', '\t', ' ', '\xff'),
  });
  const templates = fc.constantFrom(
    'https://example.com{path}{query}',
    'https://example.com{query}',
    'https://example.com/x{path}',
    '/x{path}{query}',
    '/{query}',
  );
  fc.assert(
    fc.property(templates, text, text, (template, path, query) => {
      const location = new Location(template).of(head('example.com', `/${path}`, query)) ?? '';
      expect(location).toMatch(/^[!-~]+$/);
      expect(new URL(location, 'https://example.com/').host).toBe('example.com');
    }),
    { numRuns: 2000 },
  );
});
