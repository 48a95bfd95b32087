import { formatEndpoint } from '../config/addresses';
import type { FrontConfig, PoolConfig } from '../config/model';
import { encodeRoutes, encodeRoutingTable, type TablePool } from '../wire/routing-table';

/** What agents judge later requests by: a table for each, of which the routes are the same. */
export class AgentTables {
  #routes: string | undefined;

  constructor(private readonly config: FrontConfig) {}

  /**
   * The table for the agent that the configuration calls `backend`; undefined where it is too long for a frame. It goes out
   * whether or not any listener needs it: connections that were handed over by an older configuration are judged by it, too.
   */
  of(backend: string): string | undefined {
    const { listeners, pools, routes, limits } = this.config;
    this.#routes ??= encodeRoutes(routes);
    const table = {
      self: backend,
      head_bytes: limits.head_bytes,
      listeners: listeners.map(({ name, bind, routing }) => ({
        name,
        address: bind.host,
        port: bind.port,
        routing,
      })),
      pools: pools.map((pool) => tablePool(pool, backend)),
    };
    return encodeRoutingTable(table, this.#routes);
  }
}

function tablePool({ name, balance, hash, sticky, fallback, backends }: PoolConfig, self: string): TablePool {
  return {
    name,
    here: backends.some((backend) => backend.name === self && backend.weight > 0),
    // Requests of one client do not differ in its address.
    ...(balance === 'maglev' && hash !== undefined && hash !== 'client' && { hash }),
    ...(sticky !== undefined && { sticky }),
    fallback,
    backends: backends.map(({ name, weight, http }) => ({
      name,
      weight,
      ...(http && { origin: `http://${formatEndpoint(http)}` }),
    })),
  };
}
