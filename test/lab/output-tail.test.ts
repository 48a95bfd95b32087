import { OutputTail } from '../../src/lab/output-tail';

const MIB = 1024 * 1024;

test('returns each line once, wherever the pieces end', () => {
  const text = 'one\n\nthree\nunfinished';
  for (let cut = 0; cut <= text.length; cut++) {
    const output = new OutputTail();
    const lines = [output.feed(text.slice(0, cut)), output.feed(text.slice(cut)), output.finish()].flat();
    expect(lines).toEqual(['one', '', 'three', 'unfinished']);
    expect(output.finish()).toEqual([]);
    expect(output.text).toBe(text);
  }
});

test('keeps the last MiB of text', () => {
  const output = new OutputTail();
  output.feed('a'.repeat(MIB));
  output.feed('the end');
  expect(output.text).toHaveLength(MIB);
  expect(output.text.endsWith('athe end')).toBe(true);
});

test('cuts a line that does not end', () => {
  const output = new OutputTail();
  const cut = output.feed('x'.repeat(64 * 1024));
  expect(cut.map((line) => line.length)).toEqual([64 * 1024]);
  expect(output.feed('rest\n')).toEqual(['rest']);
});
