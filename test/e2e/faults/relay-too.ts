import type { Cluster, Settings } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';

/** Requests with this host are relayed. */
export const RELAYED = 'relayed';

/**
 * Reloads a front so that it hands connections off and relays others at the same time: a second pool, for the host `relayed`,
 * has a backend without an agent. Connections stay with the pool that they were opened for.
 */
export async function relayToo(
  cluster: Cluster,
  { pool = {}, front = {} }: { readonly pool?: Settings; readonly front?: Settings } = {},
): Promise<void> {
  // Nothing listens at this port.
  const agent = `${cluster.lab.host('b1').address4}:7499`;
  cluster.writeFrontConfig({
    listeners: [{ name: 'web', bind: `${VIP4}:80`, protocol: 'http', routing: 'per-connection' }],
    routes: [{ match: { host: RELAYED }, pool: RELAYED }, { pool: 'web' }],
    pools: {
      web: { ...pool, backends: [cluster.backend(1), cluster.backend(2)] },
      [RELAYED]: { backends: [{ ...cluster.backend(1), name: RELAYED, agent }] },
    },
    ...front,
  });
  const before = await reloads(cluster);
  cluster.front.kill('SIGHUP');
  await cluster.until('a reload', async () => (await reloads(cluster)) > before);
}

function reloads(cluster: Cluster): Promise<number> {
  return cluster.frontMetric('baton_config_reloads_total', { result: 'ok' });
}
