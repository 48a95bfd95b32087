import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Competitor } from './competitor';

/** The front of the cluster itself. */
export const baton: Competitor = {
  name: 'baton',
  proxy: false,
  version: () => {
    const file = readFileSync(join(__dirname, '../../package.json'), 'utf8');
    return Promise.resolve((JSON.parse(file) as { version: string }).version);
  },
  start: (cluster) => Promise.resolve({ targets: [`${cluster.lab.vip4}:80`], pid: cluster.front.pid }),
};
