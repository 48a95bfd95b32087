/**
 * The directory that the maps are pinned in. Whoever can write to it, or to a directory above it, can put a map of his own
 * into the place of ours and so decide where clients' packets go; whoever can open a pin can write to the map. So it
 * belongs to the user of the front alone, mode 0700 with pins of 0600, and one that another user made or could have filled
 * is refused.
 */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  statfsSync,
  statSync,
  type Stats,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** BPF_FS_MAGIC, include/uapi/linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;
const OTHERS = 0o077;
const OTHERS_WRITE = 0o022;
/** In a sticky directory nobody moves or removes what is another's, so an entry there is as good as in one of our own. */
const STICKY = 0o1000;
const OWN_BPFFS =
  'give the front a bpf file system of its own: mount -t bpf -o mode=0700 bpf DIR, chown it to the user of the front, ' +
  'and set steering.pin below DIR (deploy/systemd/run-baton-bpf.mount)';

/**
 * Makes the directory where it is missing, and makes sure that nobody else has a hand in it. Returns what had to be put
 * right; throws an Error that says whose the directory is and what to do.
 */
export function preparePinDirectory(directory: string): string[] {
  const existing = nearestExisting(resolve(directory));
  if (statfsSync(existing).type !== BPF_FS_MAGIC) {
    throw new Error(`steering.pin: ${directory} is not in a bpf file system: mount -t bpf bpf /sys/fs/bpf`);
  }
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw refusal(directory, 'make it', cause);
  }
  const real = realpathSync(directory);
  checkWay(directory, resolve(directory));
  checkWay(directory, real);
  const repaired = keepPrivate(directory, real);
  const pins = pinsIn(directory, real).filter((path) => !isRoots(path));
  return [...repaired, ...pins.flatMap((path) => keepPrivate(directory, path))];
}

/** The directory itself or the nearest one above it that there is. */
function nearestExisting(directory: string): string {
  for (let path = directory; ; path = dirname(path)) {
    try {
      if (statSync(path, { throwIfNoEntry: false }) !== undefined) return path;
    } catch (cause) {
      throw refusal(directory, 'look it up', cause);
    }
  }
}

/**
 * Every directory above it, and every symbolic link on the way, is root's or ours, and no directory above it is for others
 * to change. `path` is the directory as it was given or as it really is; itself it is looked at by keepPrivate.
 */
function checkWay(directory: string, path: string): void {
  for (let at = path; ; at = dirname(at)) {
    const stats = lstatSync(at);
    if (at !== path || stats.isSymbolicLink()) checkAbove(directory, at, stats);
    if (at === dirname(at)) return;
  }
}

function checkAbove(directory: string, path: string, stats: Stats): void {
  const { uid, mode } = stats;
  const danger = 'could be exchanged, and clients redirected';
  if (uid !== 0 && uid !== ownUid()) {
    throw new Error(
      `steering.pin: ${path} belongs to uid ${uid}: ${directory} ${danger}. All on the way to it has to belong to root ` +
        'or to the user of the front',
    );
  }
  if (!stats.isSymbolicLink() && (mode & OTHERS_WRITE) !== 0 && (mode & STICKY) === 0) {
    throw new Error(
      `steering.pin: ${path} is for others to change (mode ${octal(mode)}): ${directory} ${danger}. Run chmod go-w ${path}`,
    );
  }
}

function pinsIn(directory: string, real: string): string[] {
  try {
    return readdirSync(real).map((name) => join(real, name));
  } catch (cause) {
    throw refusal(directory, 'list it', cause);
  }
}

/** Root redirects clients as it likes anyway; the kernel itself puts two files into the root of a bpf file system. */
function isRoots(path: string): boolean {
  return lstatSync(path).uid === 0 && ownUid() !== 0;
}

/** Refuses what is not ours; takes the permissions of others away from what is. */
function keepPrivate(directory: string, path: string): string[] {
  const { uid, mode } = lstatSync(path);
  if (uid !== ownUid()) {
    throw new Error(
      `steering.pin: ${path} belongs to uid ${uid} and this front runs as uid ${ownUid()}: whoever owns it could ` +
        `redirect clients. Run the front as that user, or hand it over: chown -R ${ownUid()} ${directory}; if you do not ` +
        'know who made it, remove it (the connections that it steers end)',
    );
  }
  if ((mode & OTHERS) === 0) return [];
  const wanted = mode & ~OTHERS & 0o777;
  chmodSync(path, wanted);
  return [`${path} was open to others: mode ${octal(mode)}, now ${octal(wanted)}`];
}

function refusal(directory: string, step: string, cause: unknown): Error {
  const { code } = cause as NodeJS.ErrnoException;
  const closed = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
  const advice = closed ? `not allowed for uid ${ownUid()}: ${OWN_BPFFS}` : (cause as Error).message;
  return new Error(`steering.pin: ${directory}: ${step}: ${code ?? ''}, ${advice}`, { cause });
}

function ownUid(): number {
  return process.geteuid?.() ?? 0;
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0');
}
