import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../../src/lab/cluster';

const TIMEOUT_MS = 60_000;

/** Nanoseconds of CPU of all threads of a process (Documentation/scheduler/sched-stats.rst). */
function cpuNanoseconds(pid: number): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce(
    (sum, tid) => sum + Number(readFileSync(join(tasks, tid, 'schedstat'), 'utf8').split(' ')[0]),
    0,
  );
}

/** Microseconds of CPU for each connection, all threads. */
export interface BurstCost {
  readonly front: number;
  /** Of all agents together: restoring and serving it. */
  readonly agents: number;
}

/** Connections gather in the listener's queue while the front is stopped; it gets them all at once. */
export async function burst(cluster: Cluster, count: number): Promise<BurstCost> {
  const script = join(__dirname, 'clients', 'burst.mjs');
  const options = { address: cluster.lab.vip4, sources: cluster.client.addresses4, count };
  cluster.front.kill('SIGSTOP');
  const client = cluster.client.spawn([process.execPath, script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await client.waitForLine('sent', TIMEOUT_MS);
  const programs = [cluster.front, ...cluster.agents];
  const before = programs.map(({ pid }) => cpuNanoseconds(pid));
  cluster.front.kill('SIGCONT');
  await client.waitForLine('answered', TIMEOUT_MS);
  // Closing the sockets is a part of it.
  await cluster.until('all sockets to be closed', async () => {
    const { releasing_sockets: left } = await cluster.frontApi<{ releasing_sockets: number }>('/v1/status');
    return left === 0;
  });
  const [front = NaN, ...agents] = programs.map(
    ({ pid }, index) => (cpuNanoseconds(pid) - (before[index] ?? NaN)) / count / 1000,
  );
  client.write('close\n');
  await client.exited;
  return { front, agents: agents.reduce((sum, each) => sum + each, 0) };
}
