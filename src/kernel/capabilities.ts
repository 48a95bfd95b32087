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
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/thread-self/status', 'latin1'))?.[1];
  const set = BigInt(`0x${effective ?? '0'}`);
  const has = (name: Capability): boolean => (set & (1n << BITS[name])) !== 0n;
  // What CAP_BPF allows was CAP_SYS_ADMIN's before, and still is (bpf_capable, include/linux/capability.h).
  return has(capability) || (capability === 'CAP_BPF' && has('CAP_SYS_ADMIN'));
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
