import { readdirSync, readFileSync } from 'node:fs';

/** Bits of a capability set, include/uapi/linux/capability.h. */
const BITS: Readonly<Record<string, bigint>> = {
  CAP_NET_BIND_SERVICE: 1n << 10n,
  CAP_NET_ADMIN: 1n << 12n,
  CAP_BPF: 1n << 39n,
};
const SETS = ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'] as const;

/** What a thread may do, from /proc/PID/task/TID/status. */
export interface ThreadPrivileges {
  /** Real, effective, saved and file system. */
  readonly users: readonly number[];
  readonly groups: readonly number[];
  readonly capabilities: Readonly<Record<string, bigint>>;
  readonly noNewPrivileges: boolean;
}

/** Of every thread of a process: a capability is a thread's, not a process's. */
export function privilegesOf(pid: number): ThreadPrivileges[] {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.map((tid) => parse(readFileSync(`/proc/${pid}/task/${tid}/status`, 'latin1')));
}

/** What a thread shows that has these capabilities in each of its sets, and is that user and nothing more. */
export function exactly(uid: number, capabilities: readonly string[]): ThreadPrivileges {
  const bits = capabilities.reduce((sum, name) => sum | bitOf(name), 0n);
  return {
    users: Array<number>(4).fill(uid),
    groups: Array<number>(4).fill(uid),
    capabilities: Object.fromEntries(SETS.map((set) => [set, bits])),
    noNewPrivileges: true,
  };
}

function bitOf(name: string): bigint {
  const bit = BITS[name];
  if (bit === undefined) throw new Error(`${name}: a capability that nothing here needs`);
  return bit;
}

function parse(status: string): ThreadPrivileges {
  const field = (name: string): string => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? '';
  const numbers = (text: string): number[] => text.split(/\s+/).filter(Boolean).map(Number);
  return {
    users: numbers(field('Uid')),
    groups: [...numbers(field('Gid')), ...numbers(field('Groups'))],
    capabilities: Object.fromEntries(SETS.map((set) => [set, BigInt(`0x${field(set)}`)])),
    noNewPrivileges: field('NoNewPrivs') === '1',
  };
}
