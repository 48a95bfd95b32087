import fc from 'fast-check';
import { cookiesOf } from '../../src/peek/cookies';

test.each<[string, [string, string][]]>([
  ['', []],
  ['s', []],
  [';;;', []],
  ['=', [['', '']]],
  ['s=', [['s', '']]],
  [
    'a=1; b=2;c=3',
    [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ],
  ],
  [
    ' a = 1 ;\tb=2',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  [
    'a=1; a=2',
    [
      ['a', '1'],
      ['a', '2'],
    ],
  ],
  ['a=b=c', [['a', 'b=c']]],
  ['a="b"', [['a', '"b"']]],
  ['a; b=1', [['b', '1']]],
])('%j', (field, cookies) => {
  expect([...cookiesOf(field)]).toEqual(cookies);
});

test('cookies are read as they were written', () => {
  const LETTERS = Array.from('abcXYZ019-_%"');
  const token = fc.string({ unit: fc.constantFrom(...LETTERS), minLength: 1, maxLength: 8 });
  const value = fc.string({ unit: fc.constantFrom(...LETTERS, '=', ',', ':'), maxLength: 8 });
  fc.assert(
    fc.property(fc.array(fc.tuple(token, value)), (cookies) => {
      const field = cookies.map((cookie) => cookie.join('=')).join('; ');
      expect([...cookiesOf(field)]).toEqual(cookies);
    }),
  );
});
