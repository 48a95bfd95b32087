import type { Host } from '../../../src/lab/host';

/** What the kernels of hosts say about their TCP (Documentation/networking/snmp_counter.rst). */
export interface KernelCounters {
  /** Segments sent again. */
  readonly repeated: number;
  /** Segments that came before one in front of them. */
  readonly outOfOrder: number;
  /** What was acknowledged selectively, and then not there after all: the queue that a handoff leaves behind. */
  readonly reneged: number;
}

const NAMES = { repeated: 'RetransSegs', outOfOrder: 'TCPOFOQueue', reneged: 'TCPSACKReneging' } as const;

/** One counter of a host by the kernel's name for it, since the host was made. */
export async function kernelCounter(host: Host, name: string): Promise<number> {
  return valueOf(await countersOf(host), name);
}

/** Sums over hosts since they were made. */
export async function kernelCounters(hosts: readonly Host[]): Promise<KernelCounters> {
  const texts = await Promise.all(hosts.map(countersOf));
  const sum = (name: string): number => texts.reduce((total, text) => total + valueOf(text, name), 0);
  return {
    repeated: sum(NAMES.repeated),
    outOfOrder: sum(NAMES.outOfOrder),
    reneged: sum(NAMES.reneged),
  };
}

async function countersOf(host: Host): Promise<string> {
  return (await host.run(['cat', '/proc/net/snmp', '/proc/net/netstat'])).stdout;
}

/** Two lines for each group: its names, then its values. */
function valueOf(text: string, name: string): number {
  const lines = text.split('\n').map((line) => line.split(' '));
  const at = lines.findIndex((words) => words.includes(name));
  const value = Number(lines[at + 1]?.[lines[at]?.indexOf(name) ?? -1]);
  if (Number.isNaN(value)) throw new Error(`no counter ${name}`);
  return value;
}
