/**
 * The plan of a lab: which hosts, interfaces, addresses, routes and sysctls. Pure, nothing is created here.
 *
 *     c1 c2 .. --- br0 --- f1 .. b1 b2 ..          all on-link: 198.18.0.0/15, 2001:2::/48
 *
 *     c1 c2 .. --- br1 --- rt --- br0 --- f1 ..    with a router: the clients are in 198.18.128.0/17 and
 *                                                  2001:2:0:80::/64, and nobody else is
 *
 * Both ranges are reserved for benchmarks (RFC 2544 with RFC 6890, RFC 5180), so they collide with no real network.
 */

export interface LabOptions {
  /** Client hosts, 1 by default. */
  readonly clients?: number;
  /** Front hosts, 1 by default; the VIPs are on the first. */
  readonly fronts?: number;
  /** Backend hosts, 2 by default. */
  readonly backends?: number;
  /** IPv4 addresses on each client host, 1 by default: one address has too few ports for a load of short connections. */
  readonly clientAddresses?: number;
  /** Whether a router stands between the clients and the cluster. */
  readonly router?: boolean;
}

export interface Interface {
  readonly name: string;
  readonly bridge: 'br0' | 'br1';
  /** Addresses with prefix length and flags, as `ip addr add` takes them. */
  readonly addresses: readonly string[];
}

export interface HostPlan {
  readonly name: string;
  readonly role: 'client' | 'front' | 'backend' | 'router';
  readonly addresses4: readonly [string, ...string[]];
  readonly address6: string;
  readonly interfaces: readonly Interface[];
  /** Routes beside those that the addresses bring, as `ip route add` takes them. */
  readonly routes: readonly string[];
  /** Path below /proc/sys/net -> value. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export const VIP4 = '198.19.0.1';
export const VIP6 = '2001:2:0:ff::1';

/** What the router's clients are in: their client k has 198.18.(127+k).1 and so on. */
export const ROUTED_CLIENTS = {
  net4: '198.18.128.0/17',
  gateway4: '198.18.128.254',
  net6: '2001:2:0:80::/64',
  gateway6: '2001:2:0:80::fe',
} as const;

/** Fronts are numbered from .11, backends from .21: the numbers up to .20, and up to .253, are theirs. */
const LIMITS = { clients: 99, fronts: 10, backends: 200, clientAddresses: 250 } as const;

export function planHosts(options: LabOptions): HostPlan[] {
  const routed = options.router ?? false;
  const clientAddresses = count(options, 'clientAddresses', 1);
  return [
    ...range(count(options, 'clients', 1)).map((k) => planClient(k, clientAddresses, routed)),
    ...range(count(options, 'fronts', 1)).map((k) => planMember('front', k, 10 + k, routed)),
    ...range(count(options, 'backends', 2)).map((k) => planMember('backend', k, 20 + k, routed)),
    ...(routed ? [planRouter()] : []),
  ];
}

function planClient(k: number, addressCount: number, routed: boolean): HostPlan {
  const net4 = `198.18.${routed ? 127 + k : k}`;
  const addresses4: [string, ...string[]] = [`${net4}.1`];
  for (let last = 2; last <= addressCount; last++) addresses4.push(`${net4}.${last}`);
  const address6 = routed ? `2001:2:0:80::${k}:1` : `2001:2::${k}:1`;
  const [length4, length6] = routed ? [17, 64] : [15, 48];
  return {
    name: `c${k}`,
    role: 'client',
    addresses4,
    address6,
    interfaces: [
      {
        name: 'eth0',
        bridge: routed ? 'br1' : 'br0',
        addresses: [...addresses4.map((address) => `${address}/${length4}`), `${address6}/${length6} nodad`],
      },
    ],
    routes: routed ? defaultRoutes(ROUTED_CLIENTS.gateway4, ROUTED_CLIENTS.gateway6) : [],
    // Every port a client may use: the default range is spent within seconds of short connections.
    sysctls: { ...interfaceSysctls(['eth0']), 'ipv4/ip_local_port_range': '1024 65535' },
  };
}

function planMember(role: 'front' | 'backend', k: number, last: number, routed: boolean): HostPlan {
  const address4 = `198.18.0.${last}`;
  const address6 = `2001:2::${last}`;
  const own = routed
    ? [`${address4}/17`, `${address6}/64 nodad`]
    : [`${address4}/15`, `${address6}/48 nodad`];
  // A deprecated address answers but is never chosen as a source, so the front's own traffic keeps its own address.
  const vips = role === 'front' && k === 1 ? [`${VIP4}/32`, `${VIP6}/128 nodad preferred_lft 0`] : [];
  return {
    name: `${role === 'front' ? 'f' : 'b'}${k}`,
    role,
    addresses4: [address4],
    address6,
    interfaces: [{ name: 'eth0', bridge: 'br0', addresses: [...own, ...vips] }],
    routes: routed ? [...vipRoutes(), ...defaultRoutes('198.18.0.254', '2001:2::fe')] : [],
    sysctls: interfaceSysctls(['eth0']),
  };
}

function planRouter(): HostPlan {
  const { gateway4, gateway6 } = ROUTED_CLIENTS;
  return {
    name: 'rt',
    role: 'router',
    addresses4: ['198.18.0.254'],
    address6: '2001:2::fe',
    interfaces: [
      { name: 'eth0', bridge: 'br0', addresses: ['198.18.0.254/17', '2001:2::fe/64 nodad'] },
      { name: 'eth1', bridge: 'br1', addresses: [`${gateway4}/17`, `${gateway6}/64 nodad`] },
    ],
    routes: vipRoutes(),
    sysctls: {
      ...interfaceSysctls(['eth0', 'eth1']),
      'ipv4/ip_forward': '1',
      'ipv6/conf/all/forwarding': '1',
    },
  };
}

function vipRoutes(): string[] {
  return ['198.19.0.0/16 dev eth0', '2001:2:0:ff::/64 dev eth0'];
}

function defaultRoutes(via4: string, via6: string): string[] {
  return [`default via ${via4}`, `default via ${via6}`];
}

/**
 * A steered packet arrives with a source that is routed elsewhere, so reverse-path filtering must be off; duplicate
 * address detection would hold back every IPv6 packet of the first second.
 */
function interfaceSysctls(names: readonly string[]): Record<string, string> {
  const sysctls: Record<string, string> = {};
  for (const name of ['all', 'default', ...names]) {
    sysctls[`ipv4/conf/${name}/rp_filter`] = '0';
    sysctls[`ipv6/conf/${name}/accept_dad`] = '0';
  }
  return sysctls;
}

function count(options: LabOptions, key: keyof typeof LIMITS, fallback: number): number {
  const value = options[key] ?? fallback;
  const least = key === 'clientAddresses' ? 1 : 0;
  if (Number.isInteger(value) && value >= least && value <= LIMITS[key]) return value;
  throw new RangeError(`lab option ${key}: ${value} is not a whole number from ${least} to ${LIMITS[key]}`);
}

function range(length: number): number[] {
  return Array.from({ length }, (_, index) => index + 1);
}
