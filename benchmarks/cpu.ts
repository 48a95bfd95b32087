/** CPU time out of /proc: of the processes that are measured, and of all others. */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second of /proc/PID/stat: USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;
const KTHREADD = 2;

/** A process and its children, and theirs; those that have ended meanwhile are left out. */
export function treeOf(pid: number): number[] {
  const children = orElse('', () => readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1'));
  return [pid, ...(children.match(/\d+/g) ?? []).flatMap((child) => treeOf(Number(child)))];
}

/** Seconds of CPU, user and system, of all threads of the processes (Documentation/scheduler/sched-stats.rst). */
export function cpuSeconds(pids: readonly number[]): number {
  let nanoseconds = 0;
  for (const pid of pids) {
    for (const tid of orElse([], () => readdirSync(`/proc/${pid}/task`))) {
      const schedstat = orElse('0', () => readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'latin1'));
      nanoseconds += Number(schedstat.split(' ')[0]);
    }
  }
  return nanoseconds / 1e9;
}

/** Seconds of CPU of every process of this machine that is neither in `own` nor a thread of the kernel. */
export function foreignCpuSeconds(own: ReadonlySet<number>): ReadonlyMap<number, number> {
  const seconds = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || own.has(pid)) continue;
    const stat = orElse('', () => readFileSync(`/proc/${pid}/stat`, 'latin1'));
    // The second field, a name in brackets, may hold spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (Number(fields[1]) === KTHREADD) continue;
    seconds.set(pid, (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND);
  }
  return seconds;
}

/** What those processes have used between two looks; one that came in between counts from its beginning. */
export function foreignLoad(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  let seconds = 0;
  for (const [pid, end] of after) seconds += end - (before.get(pid) ?? 0);
  return seconds;
}

function orElse<T>(fallback: T, read: () => T): T {
  try {
    return read();
  } catch {
    return fallback;
  }
}
