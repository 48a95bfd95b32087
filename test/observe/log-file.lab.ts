/** A file on a disk that is full: a tmpfs of the test's own. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogFile } from '../../src/observe/log-file';
import { until } from '../kernel/pair';

const { EAGAIN, ENOSPC } = constants.errno;
const LINE = `${'x'.repeat(1023)}\n`;

let mount: string;

beforeEach(() => {
  mount = mkdtempSync(join(tmpdir(), 'log-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'none', mount]);
});

afterEach(() => {
  execFileSync('umount', [mount]);
  rmdirSync(mount);
});

/** Takes all the room that there is. */
function fill(): string {
  const filler = join(mount, 'filler');
  execFileSync('sh', ['-c', 'head -c 1000000 /dev/zero > "$0" 2>/dev/null || true', filler]);
  return filler;
}

/** The first answer of a file that is not busy. */
async function answerOf(file: LogFile, line: string): Promise<number> {
  let answer = -EAGAIN;
  await until(() => (answer = file.write(Buffer.from(line))) !== -EAGAIN);
  return answer;
}

test('the reason why a disk takes nothing more is told, lines are kept, and go out when there is room', async () => {
  const file = new LogFile(join(mount, 'access.log'), () => undefined);
  const filler = fill();
  const piece = Buffer.from(LINE.repeat(32));
  expect(file.write(piece)).toBe(piece.length);
  expect(await answerOf(file, 'more\n')).toBe(-ENOSPC);
  rmSync(filler);
  // That was a try too, and may have failed as well.
  await until(() => file.write(Buffer.from('more\n')) === 5);
  expect(await file.close(5000)).toBe(0);
  expect(readFileSync(join(mount, 'access.log'), 'utf8')).toBe(`${LINE.repeat(32)}more\n`);
});

test('lines that the disk has not taken by the end are counted', async () => {
  const file = new LogFile(join(mount, 'access.log'), () => undefined);
  fill();
  expect(file.write(Buffer.from(LINE.repeat(32)))).toBe(32 * LINE.length);
  expect(await answerOf(file, 'more\n')).toBe(-ENOSPC);
  const left = await file.close(5000);
  const written = readFileSync(join(mount, 'access.log'), 'utf8').split('\n').length - 1;
  expect(left).toBe(32 - written);
  expect(left).toBeGreaterThan(0);
});
