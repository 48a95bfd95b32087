import fc from 'fast-check';
import { faultOf, Pattern } from '../../src/route/pattern';

const fits = (pattern: string, text: string) => new Pattern(pattern).fits(text);

test.each([
  ['a', 'a', true],
  ['a', 'ab', false],
  ['a', 'ba', false],
  ['a|ab', 'ab', true],
  ['ab|a', 'ab', true],
  ['a*?', 'aaa', true],
  ['^a$', 'a', true],
  ['a$|b', 'a', true],
  ['/v[0-9]+/.*', '/v12/x/y', true],
  ['(?i)/ADMIN', '/admin', true],
  ['(?P<id>\\d+)', '42', true],
  ['\\p{Greek}+', 'αβ', true],
  ['', '', true],
  ['', 'a', false],
  // A dot is any character: what stands behind a line feed must not go unseen.
  ['a.*b', 'a\n\u2028b', true],
  ['a', 'a\n', false],
])('%j against %j: %s', (pattern, text, expected) => {
  expect(fits(pattern, text)).toBe(expected);
});

test.each([
  ['(a', 'missing closing ) "(a"'],
  ['a)', 'unexpected ) "a)"'],
  ['[a', 'missing closing ] "[a"'],
  ['*', 'missing argument to repetition operator "*"'],
  ['a**', 'invalid nested repetition operator "**"'],
  ['a\\', 'trailing backslash at end of expression'],
  ['a{2000}', 'invalid repeat count "{2000}"'],
  ['\\p{Nonsense}', 'invalid character class range "\\\\p{Nonsense}"'],
  ['(?=a)', 'invalid or unsupported Perl syntax "(?=": lookaround and backreferences are not supported'],
  ['(?!a)', 'invalid or unsupported Perl syntax "(?!": lookaround and backreferences are not supported'],
  ['(?<=a)b', 'invalid named capture "(?<=a)b": lookaround and backreferences are not supported'],
  ['(?<!a)b', 'invalid named capture "(?<!a)b": lookaround and backreferences are not supported'],
  ['(a)\\1', 'invalid escape sequence "\\\\1": lookaround and backreferences are not supported'],
  ['(?<a>b)\\k<a>', 'invalid escape sequence "\\\\k": lookaround and backreferences are not supported'],
  ['((ab?){30}){30}', 'its repetitions, written out, are too large'],
  ['(a{50}){50}', 'invalid repeat count "{50}"'],
  ['(a{1000}){1000}', 'invalid repeat count "{1000}"'],
])('%j is none: %s', (pattern, fault) => {
  expect(faultOf(pattern)).toBe(fault);
  expect(() => new Pattern(pattern)).toThrow(RangeError);
});

test('the longest that there may be, of every kind', () => {
  expect(faultOf('a'.repeat(1025))).toBe('longer than 1024 characters');
  for (const piece of ['a', 'a|', 'a?', '(a)', '[ab]', '\\d', '\\pL', 'a{1}', '(?i:k)', '.*', '\\b']) {
    const pattern = piece.repeat(1024 / piece.length);
    expect([piece, faultOf(pattern)]).toEqual([piece, undefined]);
  }
});

test('any text is a pattern or has a fault of one line', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      ...Array.from('()[]{}|*+?^$.\\-,:<>=!'),
      '(?',
      '\\p',
      '{2,3}',
      '(?P<',
      '[[:alpha:]]',
      '\\Q',
    ),
    fc.string({ unit: 'binary', maxLength: 2 }),
  );
  const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
  let faults = 0;
  fc.assert(
    fc.property(text, (pattern) => {
      const fault = faultOf(pattern);
      if (fault === undefined) return void fits(pattern, pattern);
      faults++;
      expect(fault.length).toBeGreaterThan(5);
      expect(fault.length).toBeLessThan(500);
      expect(fault).not.toMatch(/\n/);
      expect(() => new Pattern(pattern)).toThrow(fault);
    }),
    { numRuns: 2000 },
  );
  expect(faults).toBeGreaterThan(100);
});

test('the engine reads what both engines know as that of the language does', () => {
  const { expression } = fc.letrec<{ expression: string }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', 'ab', '\\b', '^', '$', '\\w', '/'),
      fc.tuple(tie('expression'), tie('expression')).map((both) => both.join('')),
      fc.tuple(tie('expression'), tie('expression')).map((both) => `(?:${both.join('|')})`),
      fc
        .tuple(tie('expression'), fc.constantFrom('*', '+', '?', '*?', '+?', '{2}', '{1,3}'))
        .map(([inner, times]) => `(${inner})${times}`),
    ),
  }));
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '\n'), maxLength: 8 });
  const outcomes = { fits: 0, fails: 0 };
  fc.assert(
    fc.property(expression, fc.array(text, { minLength: 5, maxLength: 10 }), (pattern, texts) => {
      // Both can take long to write out repetitions of repetitions.
      fc.pre(pattern.length < 60 && faultOf(pattern) === undefined);
      const compiled = new Pattern(pattern);
      for (const each of texts) {
        const expected = new RegExp(`^(?:${pattern})$`, 's').test(each);
        expect([pattern, each, compiled.fits(each)]).toEqual([pattern, each, expected]);
        outcomes[expected ? 'fits' : 'fails']++;
      }
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(outcomes.fits, outcomes.fails)).toBeGreaterThan(500);
});

test.each([
  ['(a+)+b', 'a'],
  ['(a|a)*b', 'a'],
  ['(a|aa)+b', 'a'],
  ['(.*)*b', 'a'],
  ['(a*a*)+b', 'a'],
  ['(.*a){20}b', 'a'],
])('%s takes no longer than the text is long', (pattern, letter) => {
  const compiled = new Pattern(pattern);
  const timeOf = (length: number): number => {
    const text = letter.repeat(length);
    const began = performance.now();
    for (let k = 0; k < 10; k++) expect(compiled.fits(text)).toBe(false);
    return (performance.now() - began) / 10;
  };
  timeOf(1024);
  const ms = timeOf(65_536);
  process.stdout.write(`  ${pattern}: 64 KiB in ${ms.toFixed(1)} ms\n`);
  // An engine that goes back takes longer than the universe is old. 100 times what it took where this was written.
  expect(ms).toBeLessThan(500);
});
