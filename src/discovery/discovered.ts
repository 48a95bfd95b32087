import type { BackendConfig, DiscoveryConfig, FrontConfig, PoolConfig } from '../config/model';
import { formatEndpoint } from '../config/addresses';
import type { Member } from './member';

/** A backend that DNS knows and that cannot be one of its pool. */
export interface LeftOut {
  readonly pool: string;
  readonly backend: string;
  readonly cause: string;
}

/** A configuration with the backends that were discovered, and what was left out of it. */
export interface Discovered {
  readonly config: FrontConfig;
  readonly leftOut: readonly LeftOut[];
}

/**
 * Puts what is known into the pools that discover their backends. Like listed ones, a backend has one agent and an agent one
 * name in all pools: what is listed comes first, then what pools further up have.
 * @param membersOf what is known of a pool's name, by the pool's.
 * @param objection why a backend cannot be used; undefined where it can.
 */
export function withDiscovered(
  config: FrontConfig,
  membersOf: (pool: string) => readonly Member[],
  objection: (backend: BackendConfig) => string | undefined,
): Discovered {
  const identities = new Identities();
  for (const { backends } of config.pools) backends.forEach((backend) => identities.add(backend));
  const leftOut: LeftOut[] = [];
  const pools = config.pools.map((pool): PoolConfig => {
    const { name, discovery } = pool;
    if (discovery === undefined) return pool;
    const backends = membersOf(name).flatMap((member) => {
      const backend = backendOf(member, discovery);
      const cause = identities.objection(backend) ?? objection(backend);
      if (cause === undefined) {
        identities.add(backend);
        return [backend];
      }
      leftOut.push({ pool: name, backend: backend.name, cause });
      return [];
    });
    return { ...pool, backends };
  });
  return { config: { ...config, pools }, leftOut };
}

/** A member as a backend of the pool that has discovered it. */
export function backendOf(member: Member, discovery: DiscoveryConfig): BackendConfig {
  const [first] = member.addresses;
  const port = member.port ?? discovery.port;
  if (first === undefined || port === undefined) throw new Error(`discovery: ${member.name} has no address`);
  const { via = member.addresses, http_port, max_connections, slow_start } = discovery;
  return {
    name: member.name,
    agent: { ...first, port },
    via: via.map(({ host, family }) => ({ host, family })),
    ...(http_port !== undefined && { http: { ...first, port: http_port } }),
    weight: member.weight ?? discovery.weight ?? 1,
    ...(max_connections !== undefined && { max_connections }),
    ...(slow_start !== undefined && { slow_start }),
  };
}

/** Names and agents, each of which belongs to one of the other. */
class Identities {
  readonly #agentOf = new Map<string, string>();
  readonly #nameOf = new Map<string, string>();

  add({ name, agent }: BackendConfig): void {
    this.#agentOf.set(name, formatEndpoint(agent));
    this.#nameOf.set(formatEndpoint(agent), name);
  }

  objection({ name, agent }: BackendConfig): string | undefined {
    const own = formatEndpoint(agent);
    const other = this.#agentOf.get(name) ?? own;
    if (other !== own) return `backend "${name}" has the agent ${other} elsewhere`;
    const called = this.#nameOf.get(own) ?? name;
    return called === name ? undefined : `the agent ${own} is the backend "${called}" elsewhere`;
  }
}
