/** What a handoff costs the front when connections come in bursts. */
import { Cluster } from '../../src/lab/cluster';
import { amount } from '../soak';
import { burst, type BurstCost } from './burst';
import { APP, countsOf, expectHandedOff, expectNothingLeft, percentile, quietFds, report } from './support';

const CONNECTIONS = 2_000;
const ROUNDS = amount(8, 24);
/** In the first rounds Node is still compiling the hot path. */
const WARM_UP = 3;
/** The front's share of what the agents spend on the same connections: how fast the machine is cancels out. */
const MOST_SHARE_OF_AGENTS = 0.75;
const TIMEOUT_MS = 120_000;

test(
  `bursts of ${CONNECTIONS} connections are handed off at little cost`,
  async () => {
    const cluster = await Cluster.start({ app: APP, clientAddresses: 20 });
    try {
      await cluster.client.run(['curl', '-sS', `http://${cluster.lab.vip4}/healthz`]);
      const fds = await quietFds(cluster);
      const before = await countsOf(cluster);
      const rounds: BurstCost[] = [];
      for (let round = 0; round < ROUNDS; round++) rounds.push(await burst(cluster, CONNECTIONS));
      const warm = rounds.slice(WARM_UP);
      const median = (of: keyof BurstCost): number =>
        percentile(
          warm.map((cost) => cost[of]),
          0.5,
        );
      const share = median('front') / median('agents');
      report(
        `front CPU per handoff in bursts of ${CONNECTIONS}: median ${median('front').toFixed(1)} µs of ` +
          `${rounds.map(({ front }) => front.toFixed(0)).join(' ')}; agents ${median('agents').toFixed(1)} µs, ratio ${share.toFixed(2)}`,
      );
      await expectHandedOff(cluster, before, ROUNDS * CONNECTIONS);
      await expectNothingLeft(cluster, fds);
      expect(share).toBeLessThan(MOST_SHARE_OF_AGENTS);
    } finally {
      await cluster.destroy();
    }
  },
  TIMEOUT_MS,
);
