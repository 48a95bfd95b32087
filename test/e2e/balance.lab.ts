/** Policies at work: whose connections go where, also while a backend is away. */
import { Cluster } from '../../src/lab/cluster';
import { APP, countsOf, placesOf, report } from './support';

const USERS = 300;
const PARALLEL = 16;
const TIMEOUT_MS = 120_000;

/** Where every user's connection went; all of them have to be handed over. */
async function placesOfUsers(cluster: Cluster): Promise<readonly string[]> {
  const before = await countsOf(cluster);
  const places = await placesOf(cluster, USERS, PARALLEL);
  const after = await countsOf(cluster);
  expect(after.handedOff - before.handedOff).toBe(USERS);
  return places;
}

const countOf = (places: readonly string[], node: string): number =>
  places.filter((place) => place === node).length;

test(
  'maglev: a user stays with a backend, and loses it only while it is away',
  async () => {
    const cluster = await Cluster.start({
      app: APP,
      backends: 3,
      clientAddresses: 20,
      front: (of) => ({
        // An agent that stands still for a moment shall not lose a connection to another one.
        timeouts: { linger: '500ms', prepare: '20s' },
        pools: {
          web: {
            balance: 'maglev',
            hash: 'header:X-User',
            backends: [1, 2, 3].map((k) => of.backend(k)),
          },
        },
      }),
    });
    try {
      const nodes = ['b1', 'b2', 'b3'];
      const first = await placesOfUsers(cluster);
      for (const node of nodes) expect(countOf(first, node)).toBeGreaterThan(USERS / 6);
      expect(await placesOfUsers(cluster)).toEqual(first);

      await cluster.agents[1]?.stop();
      await cluster.untilDown('b2');
      const without = await placesOfUsers(cluster);
      const moved = without.filter((place, user) => place !== first[user]);
      expect(moved).toHaveLength(countOf(first, 'b2'));
      expect(countOf(without, 'b2')).toBe(0);
      for (const node of ['b1', 'b3']) expect(countOf(moved, node)).toBeGreaterThan(moved.length / 4);

      await cluster.startAgent(2);
      await cluster.allUp();
      expect(await placesOfUsers(cluster)).toEqual(first);
      const shares = nodes.map((node) => `${node} ${countOf(first, node)}`).join(', ');
      report(`maglev: ${USERS} users on ${shares}; ${moved.length} moved while b2 was away, and came back`);
    } finally {
      await cluster.destroy();
    }
  },
  TIMEOUT_MS,
);
