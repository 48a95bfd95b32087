/**
 * Many backends on one host: agents in one process, each with a name, a control port and a server of its own, so that they are as many
 * to a front as those of so many hosts. Arguments: the configuration of the first (agent.yaml, as JSON) and how many. Agent k is
 * NAME-k and listens k - 1 ports above the first.
 */
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import handle from './app.mjs';

const { attach } = createRequire(import.meta.url)('../dist/agent/index.js');
const [file, count] = process.argv.slice(2);
const { serve: _, ...config } = JSON.parse(readFileSync(file, 'utf8'));
const [host, port] = config.control.listen.split(':');

const agents = [];
for (let k = 1; k <= Number(count); k++) {
  const control = { ...config.control, listen: `${host}:${Number(port) + k - 1}` };
  // The first one's admin API and VIPs do for all.
  const first = k === 1 ? {} : { node: `${config.node}-${k}`, manage_vips: false, admin: undefined };
  const { admin, ...rest } = { ...config, control, ...first };
  agents.push(await attach(handle, admin === undefined ? rest : { ...rest, admin }));
}
process.once('SIGTERM', async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  process.exit(0);
});
