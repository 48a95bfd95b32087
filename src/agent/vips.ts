/**
 * Makes the VIPs addresses of this host without announcing them to the network: they belong to the front there.
 *
 * On lo they are local for restored sockets and for packets that arrive; arp_ignore and arp_announce keep the host from
 * answering or asking ARP for them (neighbour discovery never answers for addresses of another interface).
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { adviceOnPassing } from '../kernel/capabilities';
import { formatAddress, parseAddress } from '../kernel/flow';
import { IpError, ipBatch } from '../kernel/ip-batch';

export interface Vip {
  readonly host: string;
  readonly family: 4 | 6;
}

/** A sysctl that hosting VIPs needs: its path under /proc/sys, whether a value will do, what to write, and why. */
interface Sysctl {
  readonly path: string;
  readonly holds: (value: number) => boolean;
  readonly value: number;
}

const RP_FILTER_ALL = 'net/ipv4/conf/all/rp_filter';

const SYSCTLS: readonly Sysctl[] = [
  // Answer ARP only for addresses of the interface that was asked.
  { path: 'net/ipv4/conf/all/arp_ignore', holds: (value) => value >= 1, value: 1 },
  // Never put a VIP into an ARP request as the sender.
  { path: 'net/ipv4/conf/all/arp_announce', holds: (value) => value === 2, value: 2 },
  // A client that reuses a port must not find it blocked by this host's TIME_WAIT.
  { path: 'net/ipv4/tcp_tw_reuse', holds: (value) => value === 1, value: 1 },
];

/** The addresses of VIPs, which may be listed once per port, each once. */
export function addressesOf(vips: readonly Vip[]): Vip[] {
  return [...new Map(vips.map(({ host, family }) => [host, { host, family }])).values()];
}

/** VIPs that are not addresses of this host. */
export function missingVips(vips: readonly Vip[]): Vip[] {
  const own = new Set(
    Object.values(networkInterfaces()).flatMap((addresses) =>
      (addresses ?? []).map(({ address }) => canonical(address.split('%')[0] ?? '')),
    ),
  );
  return vips.filter(({ host }) => !own.has(canonical(host)));
}

/** Does what is missing and returns a line for each thing done; throws an Error that names the step. */
export function manageVips(vips: readonly Vip[]): string[] {
  const done: string[] = [];
  for (const { path, holds, value } of SYSCTLS) {
    if (holds(readSysctl(path))) continue;
    writeSysctl(path, value);
    done.push(`${path.replaceAll('/', '.')} = ${value}`);
  }
  if (isStrict()) {
    writeSysctl(RP_FILTER_ALL, 2);
    done.push('net.ipv4.conf.all.rp_filter = 2');
  }
  const missing = missingVips(vips);
  if (missing.length > 0) addToLoopback(missing);
  return [...done, ...missing.map(({ host }) => `${host} added to lo`)];
}

/**
 * Whether reverse path filtering is strict on some interface: steered packets come from the front while their source's
 * route points elsewhere, and would be dropped without a trace. The kernel takes the larger of `all` and the interface's
 * own value, and 2 (loose) is the larger one.
 */
function isStrict(): boolean {
  if (readSysctl(RP_FILTER_ALL) === 2) return false;
  const interfaces = readdirSync('/proc/sys/net/ipv4/conf');
  return interfaces.some((name) => readSysctl(`net/ipv4/conf/${name}/rp_filter`) === 1);
}

function addToLoopback(vips: readonly Vip[]): void {
  try {
    // Without duplicate address detection: the front has the address on purpose.
    ipBatch(
      vips.map(({ host, family }) =>
        family === 4 ? `address replace ${host}/32 dev lo` : `address replace ${host}/128 dev lo nodad`,
      ),
    );
  } catch (cause) {
    if (!(cause instanceof IpError)) throw cause;
    const host = vips[cause.command]?.host ?? vips.map((vip) => vip.host).join(', ');
    const advice = adviceOnPassing('CAP_NET_ADMIN') ?? 'needs iproute2 and CAP_NET_ADMIN';
    throw new Error(`manage_vips: add ${host} to lo: ${cause.said} (${advice})`, { cause });
  }
}

function readSysctl(path: string): number {
  return Number(readFileSync(`/proc/sys/${path}`, 'utf8'));
}

function writeSysctl(path: string, value: number): void {
  try {
    writeFileSync(`/proc/sys/${path}`, String(value));
  } catch (cause) {
    const name = path.replaceAll('/', '.');
    throw new Error(
      `manage_vips: set ${name} to ${value}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)} (set it in ` +
        '/etc/sysctl.d, or let the agent write to /proc/sys/net, which takes CAP_NET_ADMIN and, under systemd, ' +
        'ReadWritePaths=/proc/sys/net)',
      { cause },
    );
  }
}

function canonical(address: string): string {
  return formatAddress(parseAddress(address));
}
