import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { BPFFS, isAbandoned, labDir, labOf, labPin } from './identity';
import { ipBatch, NETNS_DIR } from './ip';

/** A killed process is gone within milliseconds, unless it hangs in the kernel: then the lab says so and gives up. */
const KILL_TIMEOUT_MS = 2_000;
const KILL_POLL_MS = 5;

/**
 * Removes all that is left of a lab: the processes in its namespaces (a namespace lives on as long as one does),
 * the namespaces, pinned maps and files. Removing what is gone already is no error.
 */
export async function removeRemains(id: string): Promise<void> {
  const namespaces = list(NETNS_DIR).filter((name) => labOf(name) === id);
  await killProcesses(namespaces);
  // Another process may be clearing the same abandoned lab: only a namespace that is still there is a failure.
  await ipBatch(
    'delete namespaces',
    namespaces.map((name) => `netns del ${name}`),
  ).catch((error: unknown) => {
    if (list(NETNS_DIR).some((name) => labOf(name) === id)) throw error;
  });
  await rm(labPin(id), { recursive: true, force: true });
  // The directory goes last, since it reserves the id.
  await rm(labDir(id), { recursive: true, force: true });
}

/** Clears up after runs that crashed; labs of living processes and everything that is not a lab stay untouched. */
export async function removeAbandonedLabs(): Promise<void> {
  const names = [NETNS_DIR, BPFFS, tmpdir()].flatMap(list);
  const ids = new Set(names.map(labOf).filter((id) => id !== undefined));
  for (const id of ids) {
    if (isAbandoned(id)) await removeRemains(id);
  }
}

async function killProcesses(namespaces: readonly string[]): Promise<void> {
  const inodes = new Set(namespaces.map(inodeOf).filter((inode) => inode !== undefined));
  const deadline = performance.now() + KILL_TIMEOUT_MS;
  for (;;) {
    const pids = processesIn(inodes);
    if (pids.length === 0) return;
    if (performance.now() > deadline)
      throw new Error(`end processes of the lab: ${pids.join(', ')} do not die`);
    for (const pid of pids) kill(pid);
    await sleep(KILL_POLL_MS);
  }
}

function processesIn(inodes: ReadonlySet<number>): number[] {
  if (inodes.size === 0) return [];
  const pids = list('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map(Number).filter((pid) => pid !== process.pid && inodes.has(namespaceOf(pid)));
}

/** Inode of a process's network namespace (`net:[INODE]`); 0, which none has, once it has ended. */
function namespaceOf(pid: number): number {
  try {
    return Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/net`))?.[0] ?? 0);
  } catch {
    return 0;
  }
}

/** Undefined where the name is a leftover without a namespace behind it: such a file is on no namespace file system. */
function inodeOf(name: string): number | undefined {
  const own = statSync(NETNS_DIR).dev;
  const file = statSync(`${NETNS_DIR}/${name}`, { throwIfNoEntry: false });
  return file === undefined || file.dev === own ? undefined : file.ino;
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended by itself since it was listed.
  }
}

function list(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
