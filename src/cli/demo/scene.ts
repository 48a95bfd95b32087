/** Where the demo takes place: the hosts, the app on the backends and the front's routes and pools. */
import { join } from 'node:path';
import type { Cluster, ClusterOptions, Settings } from '../../lab/cluster';

export const BACKENDS = ['b1', 'b2'] as const;

/** More than one, so that telling clients apart means something. */
const CLIENT_ADDRESSES = 20;

export const SCENE: ClusterOptions = {
  backends: BACKENDS.length,
  clientAddresses: CLIENT_ADDRESSES,
  app: join(__dirname, '../../../config/demo-app.mjs'),
  front: frontSettings,
};

function frontSettings(cluster: Cluster): Settings {
  const [b1, b2] = [cluster.backend(1), cluster.backend(2)];
  return {
    routes: [
      { match: { path_prefix: '/api' }, pool: 'api' },
      { match: { headers: { 'x-tenant': 'gold' } }, pool: 'gold' },
      { pool: 'web' },
    ],
    pools: {
      api: { backends: [b1] },
      gold: { backends: [b2] },
      web: { balance: 'round-robin', backends: [b1, b2] },
    },
  };
}
