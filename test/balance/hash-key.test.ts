import { hashKey, type Hashable } from '../../src/balance/hash-key';
import { makeFlow } from '../../src/kernel/flow';

function head(path: string, fields: Readonly<Record<string, string>> = {}): Hashable {
  return { path, header: (name) => fields[name] };
}

const [FIRST, SAME, OTHER] = [
  { client: makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80) },
  { client: makeFlow('198.18.1.1', 40_001, '198.19.0.1', 443) },
  { client: makeFlow('198.18.1.2', 40_000, '198.19.0.1', 80) },
] as const;

test('client: the address and not the port', () => {
  const keyOf = hashKey('client');
  expect(keyOf(head('/a'), FIRST)).toBe(keyOf(head('/b'), SAME));
  expect(keyOf(head('/a'), FIRST)).not.toBe(keyOf(head('/a'), OTHER));
});

test('path', () => {
  expect(hashKey('path')(head('/a'), FIRST)).toBe('/a');
});

test('header, whatever the case of its name; the client where there is none or an empty one', () => {
  const keyOf = hashKey('header:X-User');
  expect(keyOf(head('/', { 'x-user': 'ann' }), FIRST)).toBe('ann');
  expect(keyOf(head('/', { 'x-user': '' }), FIRST)).toBe(hashKey('client')(head('/'), FIRST));
  expect(keyOf(head('/'), FIRST)).toBe(hashKey('client')(head('/'), FIRST));
});

test.each([
  ['sid=1', '1'],
  ['a=b; sid=1; c=d', '1'],
  ['a=b;sid=1;c=d', '1'],
  ['sid="1"', '"1"'],
  ['sid=1; sid=2', '1'],
  ['sid=a=b', 'a=b'],
  ['x; sid=1', '1'],
  [' sid = 1 ', '1'],
])('cookie: %j -> %j', (cookie, value) => {
  expect(hashKey('cookie:sid')(head('/', { cookie }), FIRST)).toBe(value);
});

test.each(['', 'sid', 'sid=', 'sid= ; a=b', 'SID=1', 'xsid=1', 'a=sid=1', 'a="; sid', ';;;', '='])(
  'no such cookie: %j',
  (cookie) => {
    expect(hashKey('cookie:sid')(head('/', { cookie }), FIRST)).toBe(hashKey('client')(head('/'), FIRST));
  },
);

test('nothing else', () => {
  expect(() => hashKey('host')).toThrow('hash host');
});
