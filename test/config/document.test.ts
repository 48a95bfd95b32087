import { parseYaml } from '../../src/config/document';
import { configOf } from './texts';

function problemsOf(text: string): string[] {
  const parsed = parseYaml(text);
  return parsed.ok ? [] : parsed.problems.map(({ line, column, message }) => `${line}:${column}: ${message}`);
}

test('values are those of the YAML 1.2 core schema, whatever the text says', () => {
  const text = '%YAML 1.1\n---\na: yes\nb: 010\nc: 2001-01-01\nd: 1:30\n';
  expect(configOf(parseYaml(text)).value).toEqual({ a: 'yes', b: 10, c: '2001-01-01', d: '1:30' });
});

test.each([
  ['a duplicate key', 'a: 1\nb:\n  c: 1\n  c: 2\n', ['4:3: the key "c" is given twice']],
  [
    'aliases',
    'a: &x [1]\nb: *x\nc: [*x]\n',
    expect.arrayContaining([
      '2:4: YAML aliases are not supported: repeat the value',
      '3:5: YAML aliases are not supported: repeat the value',
    ]),
  ],
  ['a cycle', '&x [*x]', ['1:5: YAML aliases are not supported: repeat the value']],
  ['a YAML 1.1 type', 'a: !!binary aGk=\n', ['1:4: YAML: Unresolved tag: tag:yaml.org,2002:binary']],
  ['an open bracket', 'a: [1\n', [expect.stringMatching(/^2:1: YAML: [^\n]*\]$/)]],
  ['two documents', 'a: 1\n---\nb: 2\n', ['2:1: a second YAML document: a file holds one configuration']],
  [
    'depth',
    '['.repeat(200_000),
    expect.arrayContaining([expect.stringMatching(/^1:\d+: YAML: nested too deeply$/)]),
  ],
])('%s is a problem', (_, text, problems) => {
  expect(problemsOf(text)).toEqual(problems);
});

test('values and keys are found where they are written', () => {
  const { locate } = configOf(parseYaml('a:\n  b: [1, {c: 2}]\n  7: x\n  d:\n'));
  expect(locate(['a'], 'key')).toEqual({ line: 1, column: 1 });
  expect(locate(['a'], 'value')).toEqual({ line: 2, column: 3 });
  expect(locate(['a', 'b', 1], 'value')).toEqual({ line: 2, column: 10 });
  expect(locate(['a', 'b', 1, 'c'], 'key')).toEqual({ line: 2, column: 11 });
  expect(locate(['a', 'b', 1, 'c'], 'value')).toEqual({ line: 2, column: 14 });
  expect(locate(['a', '7'], 'value')).toEqual({ line: 3, column: 6 });
  expect(locate(['a', 'd'], 'value')).toEqual({ line: 4, column: 5 });
});

test('what does not exist is found where it would have been', () => {
  const { locate } = configOf(parseYaml('x: 1\na:\n  b: 1\n'));
  expect(locate(['a', 'z', 'y'], 'value')).toEqual({ line: 3, column: 3 });
  expect(locate(['a', 'b', 'y'], 'value')).toEqual({ line: 3, column: 6 });
  expect(locate([], 'value')).toEqual({ line: 1, column: 1 });
});

test('the parser repeats pieces of the text without what cannot be seen, and not at length', () => {
  const [problem = ''] = problemsOf(`%\x9b\u2028${'c'.repeat(20_000)}\n---\na: 1\n`);
  expect(problem).toMatch(/^1:1: YAML: Unknown directive %\\u\{9b\}\\u\{2028\}c+\.\.\.$/);
  expect(problem.length).toBeLessThan(300);
});

test('a text of nothing but mistakes is searched in proportion to its length', () => {
  const keys = Array.from({ length: 40_000 }, (_, index) => `k${index}`);
  const { locate } = configOf(parseYaml(keys.map((key) => `${key}:\n`).join('')));
  const begin = performance.now();
  expect(keys.map((key) => locate([key], 'key').line)).toEqual(keys.map((_, index) => index + 1));
  const ms = performance.now() - begin;
  process.stdout.write(`  ${keys.length} keys of one mapping found in ${ms.toFixed(0)} ms\n`);
  // One after the other, they took twelve seconds.
  expect(ms).toBeLessThan(3_000);
});
