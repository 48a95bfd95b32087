import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `bt`, the owner's process id in base 36 (five digits hold the kernel's largest, 2^22), one digit of its own. */
const ID_PATTERN = /^bt([0-9a-z]{5})[0-9a-z]$/;
const LABS_PER_PROCESS = 36;

const DIR_PREFIX = 'baton-lab-';

/** Where a lab keeps its files; readable by root alone, since configurations may hold keys. */
export function labDir(id: string): string {
  return join(tmpdir(), DIR_PREFIX + id);
}

/** Where pinned eBPF objects live. */
export const BPFFS = '/sys/fs/bpf';

/** Where a lab's programs pin their eBPF maps. */
export function labPin(id: string): string {
  return join(BPFFS, id);
}

/** Makes an id that no other lab has: creating its directory is what reserves it. */
export function reserveId(): string {
  const pid = process.pid.toString(36).padStart(5, '0');
  const start = Math.floor(Math.random() * LABS_PER_PROCESS);
  for (let tried = 0; tried < LABS_PER_PROCESS; tried++) {
    const id = `bt${pid}${((start + tried) % LABS_PER_PROCESS).toString(36)}`;
    if (reserve(id)) return id;
  }
  throw new Error(`create lab: this process has ${LABS_PER_PROCESS} labs already`);
}

/** The lab that a file or namespace belongs to by its name; undefined where it is no lab's. */
export function labOf(name: string): string | undefined {
  const id = name.startsWith(DIR_PREFIX)
    ? name.slice(DIR_PREFIX.length)
    : name.replace(/-(sw|rt|[cfb]\d+)$/, '');
  return ID_PATTERN.test(id) ? id : undefined;
}

/** Whether the process that made the lab is gone. A reused process id hides an abandoned lab until that one ends too. */
export function isAbandoned(id: string): boolean {
  const owner = parseInt(ID_PATTERN.exec(id)?.[1] ?? '', 36);
  if (!Number.isSafeInteger(owner) || owner === 0) return false;
  try {
    process.kill(owner, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

function reserve(id: string): boolean {
  try {
    mkdirSync(labDir(id), { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}
