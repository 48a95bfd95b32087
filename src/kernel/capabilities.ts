/**
 * Capabilities (capabilities(7)): what a process without root may do all the same. They are looked at only where the
 * kernel has refused something, to say which one is missing: whether a step works is for the kernel to decide.
 */
import { readFileSync } from 'node:fs';

/** Bits of a capability set, include/uapi/linux/capability.h. */
const BITS = { CAP_NET_BIND_SERVICE: 10n, CAP_NET_ADMIN: 12n, CAP_SYS_ADMIN: 21n, CAP_BPF: 39n } as const;

export type Capability = keyof typeof BITS;

/** Whether this thread may use a capability. */
export function holds(capability: Capability): boolean {
  const set = readSet('CapEff');
  // What CAP_BPF allows was CAP_SYS_ADMIN's before, and still is (bpf_capable, include/linux/capability.h).
  return isIn(set, capability) || (capability === 'CAP_BPF' && isIn(set, 'CAP_SYS_ADMIN'));
}

/**
 * What is to be done so that the programs that this process starts have its capability too; undefined where they have, or
 * where this process has not got it. Root's have it; others' only where it is ambient, which what setcap(8) gives is not.
 */
export function adviceOnPassing(capability: Capability): string | undefined {
  if (process.geteuid?.() === 0 || !holds(capability) || isIn(readSet('CapAmb'), capability))
    return undefined;
  return (
    `this process has ${capability}, the programs that it starts have not: grant it as an ambient capability ` +
    `(AmbientCapabilities=${capability} for systemd, or setpriv --ambient-caps) and not to a file by setcap`
  );
}

function readSet(name: 'CapEff' | 'CapAmb'): bigint {
  const status = readFileSync('/proc/thread-self/status', 'latin1');
  return BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, 'm').exec(status)?.[1] ?? '0'}`);
}

function isIn(set: bigint, capability: Capability): boolean {
  return (set & (1n << BITS[capability])) !== 0n;
}

/** What to do about an EPERM of a step that needs these capabilities. */
export function adviceOnCapabilities(...needed: readonly Capability[]): string {
  const missing = needed.filter((capability) => !holds(capability));
  if (missing.length === 0) {
    return (
      `refused although this process has ${needed.join(' and ')}: a user namespace, a seccomp filter or a security module ` +
      'forbids it; run outside of it, or allow it there'
    );
  }
  const names = missing.map((name) => name.slice('CAP_'.length));
  return (
    `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing: grant with ` +
    `AmbientCapabilities=${missing.join(' ')} (systemd) or ${names.map((name) => `--cap-add ${name}`).join(' ')} ` +
    '(container), or run as root'
  );
}
