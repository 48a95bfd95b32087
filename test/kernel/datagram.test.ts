import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sendUnixDatagram } from '../../src/kernel/datagram';
import { bind, close, recv, socket } from '../../src/kernel/libc';
import { MSG_DONTWAIT } from '../../src/kernel/socket';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;

let directory: string;
let fd: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'baton-'));
  fd = socket(AF_UNIX, SOCK_DGRAM, 0);
});

afterEach(() => {
  close(fd);
  rmSync(directory, { recursive: true });
});

/** What sd_notify(3) sends to: a path, or a name without a file. */
test.each([
  ['a path', () => join(directory, 'notify')],
  ['an abstract socket', () => `@baton-test-${process.pid}`],
])('a datagram arrives at %s', (_what, at) => {
  const path = at();
  const address = Buffer.from(`\u0001\0${path.replace(/^@/, '\0')}`);
  expect(bind(fd, address, address.length)).toBe(0);
  sendUnixDatagram(path, 'READY=1');
  const into = Buffer.alloc(64);
  const length = recv(fd, into, into.length, MSG_DONTWAIT);
  expect(into.toString('latin1', 0, length)).toBe('READY=1');
});

test('nobody there, or a path that no socket can have, is an error that says so', () => {
  expect(() => sendUnixDatagram(join(directory, 'nobody'), 'x')).toThrow(/^connect .*nobody: ENOENT$/);
  expect(() => sendUnixDatagram(`/${'x'.repeat(200)}`, 'x')).toThrow('is too long for a Unix socket');
});
