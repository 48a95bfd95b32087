import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs';
import { constants as os, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogFile } from '../../src/observe/log-file';
import { LogOutput } from '../../src/observe/log-output';
import { until } from '../kernel/pair';

const { EAGAIN, ENOSPC } = os.errno;

let directory: string;
let path: string;
let ready: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'log-file-'));
  path = join(directory, 'access.log');
  ready = 0;
});

afterEach(() => rmSync(directory, { recursive: true }));

const open = (name = path): LogFile => new LogFile(name, () => (ready += 1));

test('one piece is written at a time, behind what is there', async () => {
  for (const text of ['one\n', 'two\n']) {
    const file = open();
    expect(file.write(Buffer.from(text))).toBe(4);
    expect(file.write(Buffer.from('too soon\n'))).toBe(-EAGAIN);
    await until(() => ready === 1);
    expect(file.write(Buffer.from('later\n'))).toBe(6);
    // Waits for the write under way.
    expect(await file.close(5000)).toBe(0);
    expect(ready).toBe(1);
    ready = 0;
  }
  expect(readFileSync(path, 'utf8')).toBe('one\nlater\ntwo\nlater\n');
  expect(statSync(path).mode & 0o007).toBe(0);
});

test('a closed file takes nothing', async () => {
  const file = open();
  await file.close(0);
  expect(() => file.write(Buffer.from('x\n'))).toThrow('write to a closed file');
});

test.each([
  ['a directory that is not there', 'absent/access.log', 'ENOENT'],
  ['a directory', '.', 'EISDIR'],
])('%s is no file', (_, name, code) => {
  expect(() => open(join(directory, name))).toThrow(code);
});

test('a device says at once why it takes nothing', async () => {
  const file = open('/dev/full');
  expect(file.write(Buffer.from('one\n'))).toBe(-ENOSPC);
  expect(await file.close(10)).toBe(0);
});

describe('a FIFO', () => {
  test('waits for no reader, and keeps what it has room for until one comes', async () => {
    execFileSync('mkfifo', [path]);
    const file = open();
    const line = Buffer.from(`${'x'.repeat(1023)}\n`);
    let written = 0;
    for (let answer = 0; (answer = file.write(line)) > 0; written += answer);
    expect(file.write(line)).toBe(-EAGAIN);
    expect(written).toBeGreaterThanOrEqual(4096);
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(written + 1);
    let read = 0;
    while (read < written) read += readSync(reader, bytes, read, bytes.length - read, null);
    closeSync(reader);
    expect(read).toBe(written);
    // A reader that is gone is no failure.
    expect(file.write(line)).toBe(line.length);
    await file.close(0);
  });
});

test('an output over a file loses nothing, in order, however fast lines come', async () => {
  const file: LogFile = new LogFile(path, () => output.resume());
  const output: LogOutput = new LogOutput(file.write, () => 'dropped\n', {
    collectMs: 10,
    pieceBytes: 64 * 1024,
  });
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ${'x'.repeat(index % 200)}\n`);
  for (let at = 0; at < lines.length; at += 500) {
    for (const line of lines.slice(at, at + 500)) output.write(line);
    await new Promise(setImmediate);
    // As much as may wait.
    await until(() => statSync(path).size > lines.slice(0, at).join('').length - 1024 * 1024 + 200_000);
  }
  await output.close(5000);
  expect(await file.close(5000)).toBe(0);
  expect(output.dropped).toBe(0);
  expect(readFileSync(path, 'utf8')).toBe(lines.join(''));
});
