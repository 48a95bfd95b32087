/**
 * What TLS on the control channel costs the front: bursts of connections to two clusters in turn, one with TLS and one
 * without. Prints the ratio; `npx jest test/e2e/control-tls-cost.lab.ts`.
 */
import { Cluster } from '../../src/lab/cluster';
import { amount } from '../soak';
import { burst } from './burst';
import { APP, countsOf, expectHandedOff, percentile, report } from './support';

const CONNECTIONS = 1_000;
const ROUNDS = amount(6, 60);
/** In the first rounds Node is still compiling the hot path. */
const WARM_UP = 3;
/** An order of magnitude: the figure is for the reader, who sees it beside the load of the machine. */
const MOST_TIMES = 3;
const TIMEOUT_MS = amount(120_000, 600_000);

const median = (values: readonly number[]): number => percentile(values, 0.5);
const list = (values: readonly number[]): string => values.map((value) => value.toFixed(0)).join(' ');

test(
  `${ROUNDS} bursts of ${CONNECTIONS} connections with TLS and without`,
  async () => {
    const clusters: Cluster[] = [];
    try {
      for (const tls of [false, true])
        clusters.push(await Cluster.start({ app: APP, tls, clientAddresses: 20 }));
      const before = await Promise.all(clusters.map(countsOf));
      const costs: [number[], number[]] = [[], []];
      for (let round = 0; round < ROUNDS; round++) {
        // In turn, so that what else the machine does falls on both.
        for (const index of round % 2 === 0 ? [0, 1] : [1, 0])
          costs[index]?.push((await burst(clusters[index] as Cluster, CONNECTIONS)).front);
      }
      const [plain, secured] = costs.map((all) => all.slice(WARM_UP)) as [number[], number[]];
      const ratio = median(secured.map((cost, round) => cost / (plain[round] ?? NaN)));
      report(
        `front CPU per handoff: ${median(secured).toFixed(1)} µs with TLS, ${median(plain).toFixed(1)} µs without, ` +
          `ratio ${ratio.toFixed(2)} (${list(secured)}; ${list(plain)})`,
      );
      for (const [index, cluster] of clusters.entries())
        await expectHandedOff(cluster, before[index] as (typeof before)[0], ROUNDS * CONNECTIONS);
      expect(ratio).toBeLessThan(MOST_TIMES);
    } finally {
      await Promise.all(clusters.map((cluster) => cluster.destroy()));
    }
  },
  TIMEOUT_MS,
);
