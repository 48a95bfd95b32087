import { setTimeout as sleep } from 'node:timers/promises';
import { configure, ipBatch, type Link, links } from './ip';
import type { HostPlan } from './topology';

/** Far above the tens of milliseconds that it takes: only a broken kernel set-up gets here. */
const READY_TIMEOUT_MS = 5_000;

/** Between two looks at the links; the look itself takes as long. */
const READY_POLL_MS = 5;

/**
 * Creates the namespaces `ID-NAME` of the hosts and `ID-sw` of the switch, and returns when the first packet between any
 * two hosts would pass. The bridges live in a namespace of their own, so the machine's own network is not touched.
 */
export async function build(id: string, hosts: readonly HostPlan[]): Promise<void> {
  const sw = `${id}-sw`;
  const namespaces = [sw, ...hosts.map((host) => `${id}-${host.name}`)];
  await ipBatch('create namespaces', [
    ...namespaces.map((netns) => `netns add ${netns}`),
    ...bridges(id, hosts),
    ...hosts.flatMap((host) => cables(id, host)),
  ]);
  await Promise.all([
    configure(sw, {}, switchCommands(hosts)),
    ...hosts.map((host) => configure(`${id}-${host.name}`, host.sysctls, hostCommands(host))),
  ]);
  await Promise.all(namespaces.map(waitUntilReady));
}

/**
 * The bridges come before the cables, so that the switch's end of a cable never has the same interface number as the
 * host's: of such a pair the kernel takes a change of carrier for not urgent (linkwatch compares an interface's number
 * with its peer's) and may sit on it for a second.
 */
function bridges(id: string, hosts: readonly HostPlan[]): string[] {
  const flags = 'forward_delay 0 stp_state 0 mcast_snooping 0';
  return bridgesOf(hosts).map((name) => `link add ${name} netns ${id}-sw type bridge ${flags}`);
}

/** One veth pair per interface, the far end on the switch; both ends are created in place, never in this namespace. */
function cables(id: string, host: HostPlan): string[] {
  return host.interfaces.map(
    ({ name }) =>
      `link add ${name} netns ${id}-${host.name} type veth peer name ${port(host, name)} netns ${id}-sw`,
  );
}

function switchCommands(hosts: readonly HostPlan[]): string[] {
  const ports = hosts.flatMap((host) =>
    host.interfaces.map(({ name, bridge }) => ({ name: port(host, name), bridge })),
  );
  return [
    ...bridgesOf(hosts).map((bridge) => `link set ${bridge} up`),
    ...ports.map(({ name, bridge }) => `link set ${name} master ${bridge} up`),
  ];
}

function hostCommands(host: HostPlan): string[] {
  return [
    'link set lo up',
    ...host.interfaces.flatMap(({ name, addresses }) => [
      `link set ${name} up`,
      ...addresses.map((address) => `addr add ${address} dev ${name}`),
    ]),
    ...host.routes.map((route) => `route add ${route}`),
  ];
}

function bridgesOf(hosts: readonly HostPlan[]): string[] {
  return [...new Set(hosts.flatMap((host) => host.interfaces.map(({ bridge }) => bridge)))];
}

function port(host: HostPlan, interfaceName: string): string {
  return `${host.name}-${interfaceName}`;
}

/** A link takes packets once the kernel has seen its carrier, and a bridge port once it forwards: both come after `up`. */
async function waitUntilReady(netns: string): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const waiting = (await links(netns)).filter((link) => !isReady(link));
    if (waiting.length === 0) return;
    const names = waiting.map(({ ifname }) => ifname).join(', ');
    if (performance.now() > deadline) throw new Error(`bring up ${netns}: ${names} not ready`);
    await sleep(READY_POLL_MS);
  }
}

/** A bridge itself reports its state up to a second late (the kernel rations such events); only its ports count. */
function isReady({ ifname, operstate, linkinfo }: Link): boolean {
  if (ifname === 'lo' || linkinfo?.info_kind === 'bridge') return true;
  const state = linkinfo?.info_slave_data?.state;
  return operstate === 'UP' && (state === undefined || state === 'forwarding');
}
