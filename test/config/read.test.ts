import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readText } from '../../src/config/read';

const directory = mkdtempSync(join(tmpdir(), 'baton-config-'));
afterAll(() => rmSync(directory, { recursive: true }));

function fileOf(content: string | Uint8Array): string {
  const file = join(directory, 'file');
  writeFileSync(file, content);
  return file;
}

function causeOf(file: string): string {
  const read = readText(file);
  return read.ok ? 'ok' : read.problems.map((p) => `${p.line}:${p.column}: ${p.message}`).join('\n');
}

test('a file up to 2 MiB is read', () => {
  const text = 'ä'.repeat(1024 * 1024);
  expect(readText(fileOf(text))).toEqual({ ok: true, config: text });
});

test.each([
  ['absent', join(directory, 'absent'), '1:1: cannot read: ENOENT: no such file or directory'],
  ['a directory', directory, '1:1: cannot read: EISDIR: illegal operation on a directory'],
  ['endless', '/dev/zero', '1:1: cannot read: the file is larger than 2 MiB'],
])('%s', (_, file, cause) => {
  expect(causeOf(file)).toBe(cause);
});

test('a byte too many, and bytes that are no text', () => {
  expect(causeOf(fileOf('x'.repeat(2 * 1024 * 1024 + 1)))).toBe(
    '1:1: cannot read: the file is larger than 2 MiB',
  );
  expect(causeOf(fileOf(Uint8Array.of(0x61, 0xff)))).toMatch(/^1:1: cannot read: .*utf-8/);
});
