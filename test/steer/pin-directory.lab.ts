import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import { BPFFS } from '../../src/lab/identity';
import { FRONT_UID, NODE, OTHER_UID, PROJECT, withPrivileges, withProject } from '../lab/unprivileged';

/** Whoever can put a map into the pin directory, or open one, decides where clients' packets go. */

/** The base as the programs see it: the way to the real one is closed on some machines. */
const BASE = '/opt/base';
const PIN = `${BASE}/pin`;
const FLOWS = `${PIN}/flows`;

const BPF = ['CAP_BPF', 'CAP_NET_ADMIN'];
let view: string;
/** A directory of root in the bpf file system, in which a case has its pin directory. */
let base: string;
let pin: string;

beforeEach(() => {
  view = mkdtempSync(join(tmpdir(), 'bt-test-'));
  base = join(BPFFS, `bt-test-${process.pid}`);
  pin = join(base, 'pin');
  mkdirSync(base, { mode: 0o755 });
});

afterEach(() => {
  rmSync(base, { recursive: true });
  rmSync(view, { recursive: true });
});

interface Said {
  readonly said?: unknown;
  readonly error?: string;
}

async function as(uid: number, step: 'prepare' | 'open', path = PIN): Promise<Said> {
  const fixture = `${PROJECT}/test/steer/pin-directory.fixture.cjs`;
  const node = withPrivileges({ uid, capabilities: BPF }, [NODE, fixture, `${PROJECT}/dist`, step, path]);
  const { code, stdout, stderr } = await execute(withProject(view, node, { base }));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Said;
}

function modeOf(path: string): string {
  return (lstatSync(path).mode & 0o7777).toString(8);
}

/** An entry as another user could have made it. */
function directoryOf(uid: number, mode: number, path = pin): void {
  mkdirSync(path);
  chownSync(path, uid, uid);
  chmodSync(path, mode);
}

/** A map, pinned as any program would. */
async function pinMap(uid: number, mode: number): Promise<void> {
  const create = `
    const { BpfObject } = require('${PROJECT}/dist/kernel/bpf');
    const object = BpfObject.open('${PROJECT}/dist/steer/steer.bpf.o');
    object.setMaxEntries('flows', 16);
    object.load();
    object.pinMap('flows', '${FLOWS}');
  `;
  const { code, stderr } = await execute(withProject(view, [NODE, '-e', create], { base }));
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  chownSync(join(pin, 'flows'), uid, uid);
  chmodSync(join(pin, 'flows'), mode);
}

test('the directory is made for its user alone', async () => {
  chownSync(base, FRONT_UID, FRONT_UID);
  expect(await as(FRONT_UID, 'prepare')).toEqual({ said: [] });
  expect(modeOf(pin)).toBe('700');
  expect(lstatSync(pin).uid).toBe(FRONT_UID);
  expect(await as(FRONT_UID, 'prepare')).toEqual({ said: [] });
});

test('what is pinned can be opened by its user, and by nobody else', async () => {
  directoryOf(FRONT_UID, 0o700);
  await pinMap(FRONT_UID, 0o600);
  expect(await as(FRONT_UID, 'open', FLOWS)).toEqual({ said: true });
  const denied = { error: expect.stringMatching(/^open pinned .*: EACCES /) as string };
  expect(await as(OTHER_UID, 'open', FLOWS)).toEqual(denied);
  // Nor where the directory would let him through.
  chmodSync(pin, 0o755);
  expect(await as(OTHER_UID, 'open', FLOWS)).toEqual(denied);
});

test('what others could read or write is closed to them, and said', async () => {
  directoryOf(FRONT_UID, 0o777);
  await pinMap(FRONT_UID, 0o664);
  expect(await as(FRONT_UID, 'prepare')).toEqual({
    said: [
      `${PIN} was open to others: mode 0777, now 0700`,
      `${FLOWS} was open to others: mode 0664, now 0600`,
    ],
  });
  expect([modeOf(pin), modeOf(join(pin, 'flows'))]).toEqual(['700', '600']);
});

describe('a front refuses, with whose it is and what to do,', () => {
  async function expectRefused(uid: number, message: RegExp): Promise<void> {
    const { error } = await as(uid, 'prepare');
    expect(error).toMatch(message);
  }

  test('the directory of another user', async () => {
    directoryOf(OTHER_UID, 0o777);
    await expectRefused(FRONT_UID, /\/pin belongs to uid 64003 and this front runs as uid 64001: /);
    await expectRefused(0, /\/pin belongs to uid 64003 and this front runs as uid 0: .* chown -R 0 /);
  });

  test('the directory of root, if it is not root', async () => {
    directoryOf(0, 0o700);
    await expectRefused(FRONT_UID, /\/pin belongs to uid 0 .* chown -R 64001 /);
  });

  test('a map of another user', async () => {
    directoryOf(FRONT_UID, 0o700);
    await pinMap(OTHER_UID, 0o666);
    await expectRefused(FRONT_UID, /\/pin\/flows belongs to uid 64003 /);
    await expectRefused(0, /\/pin belongs to uid 64001 /);
  });

  test('a directory that others can exchange', async () => {
    chmodSync(base, 0o777);
    directoryOf(FRONT_UID, 0o700);
    await expectRefused(FRONT_UID, /is for others to change \(mode 0777\): .* Run chmod go-w \/opt\/base$/);
    chmodSync(base, 0o755);
    chownSync(base, OTHER_UID, OTHER_UID);
    await expectRefused(FRONT_UID, /\/opt\/base belongs to uid 64003: .* could be exchanged, and clients/);
  });

  test('a symbolic link of another user', async () => {
    directoryOf(FRONT_UID, 0o700, join(base, 'ours'));
    symlinkSync(`${BASE}/ours`, pin);
    expect(await as(FRONT_UID, 'prepare')).toEqual({ said: [] });
    rmSync(pin);
    chmodSync(base, 0o1777);
    const link = withPrivileges({ uid: OTHER_UID, capabilities: [] }, ['ln', '-s', `${BASE}/ours`, PIN]);
    expect((await execute(withProject(view, link, { base }))).code).toBe(0);
    await expectRefused(FRONT_UID, /\/pin belongs to uid 64003: /);
  });

  test('a place that is closed to it', async () => {
    const remedy =
      /: make it: EACCES, not allowed for uid 64001: give the front a bpf file system of its own: mount /;
    await expectRefused(FRONT_UID, remedy);
    // As /sys/fs/bpf is under systemd.
    chmodSync(base, 0o700);
    await expectRefused(FRONT_UID, /: look it up: EACCES, not allowed for uid 64001: .*run-baton-bpf\.mount/);
  });
});
