import fc from 'fast-check';
import { parametersOf } from '../../src/route/query';

const read = (query: string) => [...parametersOf(query)];

test.each<[string, [string, string][]]>([
  ['', []],
  ['&&', []],
  ['a', [['a', '']]],
  ['a=', [['a', '']]],
  ['=', [['', '']]],
  ['=a', [['', 'a']]],
  ['a=b=c', [['a', 'b=c']]],
  [
    'a=1&&b=2&',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  [
    'a=1&a=2',
    [
      ['a', '1'],
      ['a', '2'],
    ],
  ],
  // Only `&` separates, as in a URL of the web.
  ['a=1;b=2', [['a', '1;b=2']]],
  ['a+b=c+d%2B', [['a b', 'c d+']]],
  ['%61%3D=%26', [['a=', '&']]],
  ['q=%C3%A9%e2%82%AC%F0%9f%98%80', [['q', 'é€\u{1F600}']]],
  // Decoded once.
  ['q=%2561', [['q', '%61']]],
  // Broken escapes, and octets that are no UTF-8: overlong, half of a pair, cut off, a tail alone, too large.
  [
    'q=%&r=%2&s=%zz&t=%4',
    [
      ['q', '%'],
      ['r', '%2'],
      ['s', '%zz'],
      ['t', '%4'],
    ],
  ],
  ['q=%C0%AF', [['q', '%C0%AF']]],
  ['q=%ED%A0%80', [['q', '%ED%A0%80']]],
  ['q=%E2%82x', [['q', '%E2%82x']]],
  ['q=%A9', [['q', '%A9']]],
  ['q=%F4%90%80%80', [['q', '%F4%90%80%80']]],
  ['q=%61%FF%62', [['q', 'a%FFb']]],
  ['q=%E2%61', [['q', '%E2a']]],
])('%j', (query, parameters) => {
  expect(read(query)).toEqual(parameters);
});

test('what a browser writes is read as it was meant', () => {
  const pairs = fc.array(fc.tuple(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' })), {
    maxLength: 5,
  });
  fc.assert(
    fc.property(pairs, (given) => {
      expect(read(new URLSearchParams(given).toString())).toEqual(given);
    }),
    { numRuns: 500 },
  );
});

/** The same by trial: what decodeURIComponent takes, of one to four escapes, else an octet stays. */
function decodedByTrial(text: string): string {
  let result = '';
  for (let at = 0; at < text.length;) {
    const found = [3, 6, 9, 12].map((length) => text.slice(at, at + length)).find(isCharacter);
    result += found === undefined ? text.charAt(at) : decodeURIComponent(found);
    at += found?.length ?? 1;
  }
  return result;
}

function isCharacter(escapes: string): boolean {
  if (!/^(%[\da-f]{2})+$/i.test(escapes)) return false;
  try {
    return Array.from(decodeURIComponent(escapes)).length === 1;
  } catch {
    return false;
  }
}

test('whatever the octets', () => {
  const octet = fc.oneof(
    fc.constantFrom(0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf),
    fc.constantFrom(0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff),
  );
  const escape = octet.map((value) => `%${value.toString(16)}`);
  const piece = fc.oneof({ weight: 9, arbitrary: escape }, fc.constantFrom('%', '%4', 'a', '%C3', '%G0'));
  let decoded = 0;
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const text = pieces.join('');
      const expected = decodedByTrial(text);
      expect(read(`q=${text}`)).toEqual([['q', expected]]);
      if (/[\x80-\uffff]/.test(expected)) decoded++;
    }),
    { numRuns: 5000 },
  );
  expect(decoded).toBeGreaterThan(200);
});
