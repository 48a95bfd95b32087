import { build } from './build';
import { destroyOnSignal, forget } from './cleanup';
import { Host } from './host';
import { labDir, labPin, reserveId } from './identity';
import { configure } from './ip';
import type { LabProgram } from './lab-process';
import { removeAbandonedLabs, removeRemains } from './remains';
import { type HostPlan, type LabOptions, planHosts, ROUTED_CLIENTS, VIP4, VIP6 } from './topology';

/**
 * A small network on this machine, one network namespace per host, in which the real programs run. Needs root.
 *
 *     const lab = await Lab.create({ backends: 3 });
 *     try {
 *       const agent = lab.host('b1').spawn(['node', 'dist/cli.js', 'agent', '--config', file]);
 *     } finally {
 *       await lab.destroy();
 *     }
 *
 * A signal that ends this process destroys the lab; after a crash the next `Lab.create` of anyone does.
 */
export class Lab {
  readonly clients: readonly Host[];
  readonly fronts: readonly Host[];
  readonly backends: readonly Host[];
  readonly router: Host | undefined;
  readonly vip4 = VIP4;
  readonly vip6 = VIP6;
  /** For configurations and logs; removed with the lab. */
  readonly dir: string;
  /** Below bpffs, for pinned maps; created by who pins, removed with the lab. */
  readonly pin: string;

  private readonly started = new Set<LabProgram>();
  private readonly built: Promise<void>;
  private destroyed: Promise<void> | undefined;

  private constructor(
    readonly id: string,
    plans: readonly HostPlan[],
  ) {
    this.dir = labDir(id);
    this.pin = labPin(id);
    const hosts = (role: HostPlan['role']): Host[] =>
      plans.filter((plan) => plan.role === role).map((plan) => new Host(id, plan, this.started));
    this.clients = hosts('client');
    this.fronts = hosts('front');
    this.backends = hosts('backend');
    this.router = hosts('router')[0];
    destroyOnSignal(this);
    this.built = build(id, plans);
  }

  /** Returns when the first packet between any two hosts would pass; a lab that cannot be built leaves nothing behind. */
  static async create(options: LabOptions = {}): Promise<Lab> {
    const plans = planHosts(options);
    await removeAbandonedLabs();
    const lab = new Lab(reserveId(), plans);
    try {
      await lab.built;
    } catch (error) {
      await lab.destroy();
      throw error;
    }
    return lab;
  }

  /** A host by its name: `c1`, `f1`, `b1`, `rt`; throws where the lab has no such host. */
  host(name: string): Host {
    const all = [...this.clients, ...this.fronts, ...this.backends, ...(this.router ? [this.router] : [])];
    const host = all.find((one) => one.name === name);
    if (host === undefined) throw new RangeError(`this lab has no host ${name}`);
    return host;
  }

  /**
   * Lowers (or restores) the path MTU from the router to the clients, in bytes of an IP packet. It is set on the route
   * and not on the link: a veth end with a smaller MTU would drop the clients' full packets without a word.
   */
  async setRouterClientMtu(mtu: number): Promise<void> {
    if (this.router === undefined) throw new Error('set router MTU: this lab has no router');
    const { net4, gateway4, net6 } = ROUTED_CLIENTS;
    await configure(this.router.netns, {}, [
      `route replace ${net4} dev eth1 proto kernel scope link src ${gateway4} mtu ${mtu}`,
      `route replace ${net6} dev eth1 proto kernel metric 256 mtu ${mtu}`,
    ]);
  }

  /** Ends every process of the lab and removes all that it made; more calls wait for the first. */
  destroy(): Promise<void> {
    this.destroyed ??= this.clear();
    return this.destroyed;
  }

  private async clear(): Promise<void> {
    try {
      // What is still being created cannot be removed; how it ended does not matter here.
      await this.built.catch(() => undefined);
      await Promise.all([...this.started].map((one) => one.stop()));
      await removeRemains(this.id);
    } finally {
      forget(this);
    }
  }
}
