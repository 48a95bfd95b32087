import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { constants as system, tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWriter, PIPE_BUF } from '../../src/kernel/writer';
import { openPair } from './pair';

const { EAGAIN, EPIPE } = system.errno;
const PIECE = Buffer.alloc(PIPE_BUF, 'x');

let dir = '';
beforeAll(() => (dir = mkdtempSync(join(tmpdir(), 'baton-writer-'))));
afterAll(() => rmSync(dir, { recursive: true }));

/** O_NONBLOCK of a description, as the kernel shows it. */
function waits(fd: number): boolean {
  const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1] ?? '';
  return (parseInt(flags, 8) & constants.O_NONBLOCK) === 0;
}

function writeUntilRefused(write: (bytes: Buffer) => number): { bytes: number; errno: number } {
  for (let bytes = 0; ;) {
    const written = write(PIECE);
    if (written < 0) return { bytes, errno: -written };
    bytes += written;
  }
}

test('a pipe that is full says so, and whoever else writes there goes on waiting', () => {
  const fifo = join(dir, 'fifo');
  execFileSync('mkfifo', [fifo]);
  const reader = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const shared = openSync(fifo, constants.O_WRONLY);
  const write = openWriter(shared);
  expect(writeUntilRefused(write)).toEqual({ bytes: 65_536, errno: EAGAIN });
  expect(waits(shared)).toBe(true);
  readSync(reader, Buffer.alloc(PIPE_BUF));
  expect(write(PIECE)).toBe(PIPE_BUF);
  closeSync(reader);
  expect(write(PIECE)).toBe(-EPIPE);
  closeSync(shared);
});

test('a socket that is full says so, and its flags stay', () => {
  const pair = openPair();
  expect(waits(pair.client)).toBe(true);
  const { bytes, errno } = writeUntilRefused(openWriter(pair.client));
  expect(errno).toBe(EAGAIN);
  expect(bytes).toBeGreaterThan(PIPE_BUF);
  expect(waits(pair.client)).toBe(true);
  pair.close();
});

test('a file is written where its descriptor stands', () => {
  const file = join(dir, 'file');
  const fd = openSync(file, 'w');
  const write = openWriter(fd);
  expect(write(Buffer.from('one\n'))).toBe(4);
  expect(write(Buffer.from('two\n'))).toBe(4);
  closeSync(fd);
  expect(readFileSync(file, 'utf8')).toBe('one\ntwo\n');
});

test('a device that is always full says so', () => {
  const fd = openSync('/dev/full', 'w');
  expect(openWriter(fd)(PIECE)).toBe(-system.errno.ENOSPC);
  closeSync(fd);
});
