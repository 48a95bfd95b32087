import { accessSync, constants, readFileSync, statfsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { holds, type Capability } from '../../kernel/capabilities';

/** BPF_FS_MAGIC, include/uapi/linux/magic.h. */
const BPF_FS_MAGIC = 0xcafe4a11;
const BPFFS = '/sys/fs/bpf';

/** Programs that the demo runs, with their Debian packages. */
const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  curl: 'curl',
  sha256sum: 'coreutils',
};

/** Namespaces and bpffs take one, TCP_REPAIR and tc the other. */
const CAPABILITIES: readonly Capability[] = ['CAP_NET_ADMIN', 'CAP_SYS_ADMIN'];

/** What this machine or process lacks for the demo, and what to do about it: one line; undefined when all is there. */
export function missingRequirement(): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, this is ${process.platform}`;
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces and eBPF: run it with sudo';
  if (inUserNamespace())
    return 'needs the root of this machine, not that of a user namespace or rootless container';
  const capability = CAPABILITIES.find((name) => !holds(name));
  if (capability !== undefined) {
    return `needs ${capability}, which this root does not have: in a container, start that one with --privileged`;
  }
  for (const [program, pkg] of Object.entries(PROGRAMS)) {
    if (!isInstalled(program)) return `needs the program ${program}: apt-get install ${pkg}`;
  }
  if (statfsSync(BPFFS).type !== BPF_FS_MAGIC) {
    return `needs a bpf file system on ${BPFFS}: mount -t bpf bpf ${BPFFS}`;
  }
  return undefined;
}

/** The kernel lets nobody else load eBPF programs, whatever capabilities the namespace gives. */
function inUserNamespace(): boolean {
  const [inside, outside, count] = readFileSync('/proc/self/uid_map', 'latin1').trim().split(/\s+/);
  return inside !== '0' || outside !== '0' || count !== '4294967295';
}

function isInstalled(program: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
