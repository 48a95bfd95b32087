import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { AdminToken } from '../../src/observe/admin-token';

const TOKEN = '0123456789abcdef';

let dir = '';
let file = '';
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'baton-token-'));
  file = join(dir, 'token');
});
afterAll(() => rmSync(dir, { recursive: true }));
afterEach(() => rmSync(file, { recursive: true, force: true }));

function write(text: string, mode = 0o600): void {
  writeFileSync(file, text);
  chmodSync(file, mode);
}

describe('a token file', () => {
  test.each([
    ['without a line end', TOKEN],
    ['with one', `${TOKEN}\n`],
    ['written on another system', `${TOKEN}\r\n`],
  ])('%s', (_what, text) => {
    write(text);
    expect(AdminToken.read(file).isIn(`Bearer ${TOKEN}`)).toBe(true);
  });

  test('made as the message says is one', () => {
    execFileSync('sh', ['-c', '(umask 077; openssl rand -hex 32 > "$0")', file]);
    expect(() => AdminToken.read(file)).not.toThrow();
  });

  test.each([0o600, 0o400, 0o640, 0o440])('may have mode %o', (mode) => {
    write(TOKEN, mode);
    expect(AdminToken.read(file).isIn(`Bearer ${TOKEN}`)).toBe(true);
  });

  test.each([
    [0o644, '0644'],
    [0o604, '0604'],
    [0o660, '0660'],
    [0o602, '0602'],
    [0o601, '0601'],
  ])('may not have mode %o', (mode, written) => {
    write(TOKEN, mode);
    expect(() => AdminToken.read(file)).toThrow(
      `admin.token_file ${file}: its mode ${written} lets others read or change it: chmod 600 it, or 640 for a service's group`,
    );
  });

  const WRONG =
    /^admin\.token_file \S+: is not one line of 16 to 1024 letters, digits or any of -\._~\+\/=: make one with \(umask 077; openssl rand -hex 32 > FILE\)$/;
  test.each([
    ['empty', ''],
    ['too short', TOKEN.slice(1)],
    ['too short but for its line end', `${TOKEN.slice(1)}\n`],
    ['of two lines', `${TOKEN}\n${TOKEN}\n`],
    ['with an empty line behind', `${TOKEN}\n\n`],
    ['with a blank', `${TOKEN} ${TOKEN}`],
    ['with a blank at its end', `${TOKEN} \n`],
    ['with a letter beyond ASCII', `${TOKEN}é`],
    ['with a NUL', `${TOKEN}\0`],
    ['too long', 'x'.repeat(1025)],
    ['far too long', 'x'.repeat(100_000)],
  ])('that is %s is refused, and not repeated', (_what, text) => {
    write(text);
    expect(() => AdminToken.read(file)).toThrow(WRONG);
  });

  test('of the greatest length is read', () => {
    const longest = 'x'.repeat(1024);
    write(`${longest}\r\n`);
    expect(AdminToken.read(file).isIn(`Bearer ${longest}`)).toBe(true);
  });

  test('that is absent, a directory or a FIFO says so', () => {
    expect(() => AdminToken.read(file)).toThrow(
      `admin.token_file ${file}: cannot read: ENOENT: no such file or directory`,
    );
    expect(() => AdminToken.read(dir)).toThrow(`admin.token_file ${dir}: is no regular file`);
    execFileSync('mkfifo', [file]);
    expect(() => AdminToken.read(file)).toThrow(`admin.token_file ${file}: is no regular file`);
  });
});

describe('isIn', () => {
  test.each([
    [`Bearer ${TOKEN}`, true],
    [`bearer ${TOKEN}`, true],
    [`BEARER   ${TOKEN} `, true],
    [`Bearer ${TOKEN}x`, false],
    [`Bearer ${TOKEN.slice(1)}`, false],
    [`Bearer ${TOKEN.toUpperCase()}`, false],
    [`Bearer ${TOKEN} ${TOKEN}`, false],
    [`Bearer${TOKEN}`, false],
    [`Basic ${TOKEN}`, false],
    [TOKEN, false],
    ['Bearer', false],
    ['Bearer ', false],
    ['', false],
    [undefined, false],
  ])('%j -> %j', (authorization, expected) => {
    write(TOKEN);
    expect(AdminToken.read(file).isIn(authorization)).toBe(expected);
  });
});

test('a token shows itself nowhere', () => {
  write(TOKEN);
  const token = AdminToken.read(file);
  const shown = [inspect(token, { showHidden: true, depth: 9 }), JSON.stringify({ token })];
  expect(shown.filter((text) => text.includes(TOKEN))).toEqual([]);
});
