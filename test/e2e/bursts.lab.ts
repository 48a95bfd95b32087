/** What a handoff costs the front when connections come in bursts. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { APP, countsOf, expectHandedOff, expectNothingLeft, percentile, quietFds, report } from './support';

const CONNECTIONS = 2_000;
const ROUNDS = 12;
/** In the first rounds Node is still compiling the hot path. */
const WARM_UP = 4;
/** The aim is 35; other programs share the machine, so only what is far off fails. */
const MOST_MICROSECONDS = 70;
const TIMEOUT_MS = 120_000;

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
async function burst(cluster: Cluster): Promise<number> {
  const script = join(__dirname, 'clients', 'burst.mjs');
  const options = { address: cluster.lab.vip4, sources: cluster.client.addresses4, count: CONNECTIONS };
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
  return spent / CONNECTIONS / 1000;
}

test(
  `bursts of ${CONNECTIONS} connections are handed off at little cost`,
  async () => {
    const cluster = await Cluster.start({ app: APP, clientAddresses: 20 });
    try {
      await cluster.client.run(['curl', '-sS', `http://${cluster.lab.vip4}/healthz`]);
      const fds = await quietFds(cluster);
      const before = await countsOf(cluster);
      const rounds: number[] = [];
      for (let round = 0; round < ROUNDS; round++) rounds.push(await burst(cluster));
      const warm = rounds.slice(WARM_UP);
      report(
        `front CPU per handoff in bursts of ${CONNECTIONS}: median ${percentile(warm, 0.5).toFixed(1)} µs of ` +
          rounds.map((microseconds) => microseconds.toFixed(0)).join(' '),
      );
      await expectHandedOff(cluster, before, ROUNDS * CONNECTIONS);
      await expectNothingLeft(cluster, fds);
      expect(percentile(warm, 0.5)).toBeLessThan(MOST_MICROSECONDS);
    } finally {
      await cluster.destroy();
    }
  },
  TIMEOUT_MS,
);
