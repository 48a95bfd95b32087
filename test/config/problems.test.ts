import { ProblemReport, formatPath, formatProblems, quote } from '../../src/config/problems';

test('paths read as an operator would write them', () => {
  expect(formatPath(['pools', 'web.1', 'backends', 0, 'agent'])).toBe('pools.web.1.backends[0].agent');
  expect(formatPath(['headers', 'a\nb', 'c'])).toBe('headers["a\\nb"].c');
  expect(formatPath([])).toBe('');
});

test('a quoted piece is one line and bounded', () => {
  expect(quote('a\nb')).toBe('"a\\nb"');
  expect(quote('x'.repeat(1000))).toBe(`"${'x'.repeat(60)}..."`);
});

test('problems come in the order of the text, each once, 50 at most', () => {
  const report = new ProblemReport(([line]) => ({ line: Number(line), column: 1 }));
  expect(report.empty).toBe(true);
  for (let line = 60; line > 0; line--) {
    report.add([line], 'bad');
    report.add([line], 'bad');
  }
  const { problems } = report.failure();
  expect(problems.map(({ line }) => line)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
  expect(report.empty).toBe(false);
});

test('a problem without a position names only the file', () => {
  const problems = [
    { line: 2, column: 3, message: 'a' },
    { line: 0, column: 0, message: 'b' },
  ];
  expect(formatProblems('f.yaml', problems)).toEqual(['f.yaml:2:3: a', 'f.yaml: b']);
});
