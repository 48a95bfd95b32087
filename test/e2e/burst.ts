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

/**
 * Connections gather in the listener's queue while the front is stopped; it gets them all at once. Returns microseconds
 * of its CPU for each, all threads.
 */
export async function burst(cluster: Cluster, count: number): Promise<number> {
  const script = join(__dirname, 'clients', 'burst.mjs');
  const options = { address: cluster.lab.vip4, sources: cluster.client.addresses4, count };
  cluster.front.kill('SIGSTOP');
  const client = cluster.client.spawn([process.execPath, script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  await client.waitForLine('sent', TIMEOUT_MS);
  const before = cpuNanoseconds(cluster.front.pid);
  cluster.front.kill('SIGCONT');
  await client.waitForLine('answered', TIMEOUT_MS);
  // Closing the sockets is a part of it.
  await cluster.until('all sockets to be closed', async () => {
    const { releasing_sockets: left } = await cluster.frontApi<{ releasing_sockets: number }>('/v1/status');
    return left === 0;
  });
  const spent = cpuNanoseconds(cluster.front.pid) - before;
  client.write('close\n');
  await client.exited;
  return spent / count / 1000;
}
