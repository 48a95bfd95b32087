import { Authority } from '../../src/peek/authority';

function read(text: string): { host: string; port: number } | undefined {
  // The brackets around it would be taken for a part of it if an offset were off by one.
  const bytes = Buffer.from(`]${text}1`, 'latin1');
  const authority = new Authority();
  if (!authority.read(bytes, 1, 1 + text.length)) return undefined;
  return { host: bytes.toString('latin1', authority.start, authority.end), port: authority.port };
}

test.each([
  ['example.com', 'example.com', -1],
  ['example.com:', 'example.com', -1],
  ['example.com:0', 'example.com', 0],
  ['example.com:00080', 'example.com', 80],
  ['example.com:65535', 'example.com', 65535],
  ['EXAMPLE', 'EXAMPLE', -1],
  ['192.0.2.1:1', '192.0.2.1', 1],
  ['[::]', '::', -1],
  ['[::1]:8080', '::1', 8080],
  ['[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]', 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', -1],
])('%s', (text, host, port) => {
  expect(read(text)).toEqual({ host, port });
});

test.each([
  '',
  ':',
  ':80',
  'a:65536',
  'a:99999999999999999999',
  'a:+1',
  'a:1:2',
  'a:8 0',
  'a@b',
  'a,b',
  'a b',
  'a/b',
  'a?b',
  'a\\b',
  'a%',
  'a%2d%2Db',
  '%61',
  '::1',
  '[]',
  '[::1',
  '::1]',
  '[::1]x',
  '[::1]80',
  '[[::1]]',
  '[:]',
  '[1.2.3.4]',
  '[1::2::3]',
  '[::1%25eth0]',
  '[v1.a]',
  '[::00000000000000000000000000000000000000000001]',
])('%j is refused', (text) => {
  expect(read(text)).toBeUndefined();
});

test.each([
  ['a.example', 'A.Example:80', 80, true],
  ['a.example:443', 'a.example', 443, true],
  ['[::1]', '[::1]:80', 80, true],
  ['a.example', 'a.example:443', 80, false],
  ['a.example', 'b.example', 80, false],
  ['a.example', 'a.example.', 80, false],
])('%s against %s with default port %d', (a, b, defaultPort, same) => {
  const bytes = Buffer.from(a + b);
  const [left, right] = [new Authority(), new Authority()];
  expect(left.read(bytes, 0, a.length) && right.read(bytes, a.length, bytes.length)).toBe(true);
  expect(left.matches(bytes, right, defaultPort)).toBe(same);
  expect(right.matches(bytes, left, defaultPort)).toBe(same);
});
