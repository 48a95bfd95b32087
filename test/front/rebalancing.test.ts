import fc from 'fast-check';
import { fairShares, Rebalancing, type Share } from '../../src/front/rebalancing';

const share = (name: string, connections: number, weight = 1): Share => ({ name, connections, weight });

test.each<[string, Share[], number[]]>([
  ['a new backend gets its part', [share('a', 30), share('b', 30), share('c', 0)], [20, 20, 20]],
  ['by weight', [share('a', 40, 3), share('b', 0, 1)], [30, 10]],
  ['nothing moves for a fraction', [share('a', 2), share('b', 1)], [2, 1]],
  ['nor where a part is left over', [share('a', 1), share('b', 2)], [1, 2]],
  ['weight 0 is emptied', [share('a', 5, 0), share('b', 0)], [0, 5]],
  ['where all have weight 0 they stay', [share('a', 5, 0), share('b', 0, 0)], [5, 0]],
  ['nothing there', [share('a', 0), share('b', 0)], [0, 0]],
])('%s', (_what, shares, fair) => {
  expect([...fairShares(shares).values()]).toEqual(fair);
});

test('what moves makes the shares fair, and no more moves than that', () => {
  const shares = fc
    .array(fc.record({ weight: fc.nat(5), connections: fc.nat(60) }), { minLength: 1, maxLength: 6 })
    .map((each) => each.map((one, index) => ({ ...one, name: `b${index}` })));
  fc.assert(
    fc.property(shares, (before) => {
      const fair = fairShares(before);
      const total = (of: Iterable<number>): number => [...of].reduce((sum, each) => sum + each, 0);
      expect(total(fair.values())).toBe(total(before.map(({ connections }) => connections)));
      const weights = total(before.map(({ weight }) => weight));
      const all = total(fair.values());
      if (weights > 0)
        for (const { name, weight } of before)
          expect(Math.abs((fair.get(name) ?? 0) - (all * weight) / weights)).toBeLessThan(1);

      const plan = new Rebalancing(before);
      const after = new Map(before.map(({ name, connections }) => [name, connections]));
      const wanted = plan.left;
      let moved = 0;
      for (const { name, connections } of before) {
        for (let n = 0; n < connections; n++) {
          const to = plan.destinationFor(name);
          if (to === undefined) continue;
          moved += 1;
          after.set(name, (after.get(name) ?? 0) - 1);
          after.set(to, (after.get(to) ?? 0) + 1);
        }
      }
      expect([moved, plan.left]).toEqual([wanted, 0]);
      expect(after).toEqual(fair);
    }),
  );
});
