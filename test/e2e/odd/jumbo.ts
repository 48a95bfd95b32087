import { configure } from '../../../src/lab/ip';
import type { Lab } from '../../../src/lab/lab';

/** Sets the MTU of every cable of a lab, both ends and the switch; the kernel splits nothing for a host that is left out. */
export async function setMtu(lab: Lab, mtu: number): Promise<void> {
  const hosts = [...lab.clients, ...lab.fronts, ...lab.backends];
  const ports = hosts.map(({ name }) => `link set ${name}-eth0 mtu ${mtu}`);
  await configure(`${lab.id}-sw`, {}, [...ports, `link set br0 mtu ${mtu}`]);
  await Promise.all(hosts.map(({ netns }) => configure(netns, {}, [`link set eth0 mtu ${mtu}`])));
}
