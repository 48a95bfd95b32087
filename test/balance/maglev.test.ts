import { Maglev } from '../../src/balance/maglev';
import { candidate, describeBalancer, type TestCandidate } from './conformance';

/** A small prime, because tables are filled often here. */
describeBalancer('maglev', (candidates) => new Maglev(candidates, 509));

const KEYS = Array.from({ length: 50_000 }, (_, i) => `user-${i}`);

function pool(...weights: number[]): TestCandidate[] {
  return weights.map((weight, i) => candidate(`backend-${i}`, weight));
}

function placesOf(balancer: Maglev<TestCandidate>, keys: readonly string[] = KEYS): (string | undefined)[] {
  return keys.map((key) => balancer.pick(key, [])?.name);
}

/** Share of the keys that each name has. */
function sharesOf(places: readonly (string | undefined)[]): Map<string | undefined, number> {
  const shares = new Map<string | undefined, number>();
  for (const place of places) shares.set(place, (shares.get(place) ?? 0) + 1 / places.length);
  return shares;
}

function moved(before: readonly unknown[], after: readonly unknown[]): number {
  return before.filter((place, i) => place !== after[i]).length / before.length;
}

test('a key stays where it is, in every front, whatever the order of its configuration', () => {
  const candidates = pool(1, 2, 3, 4);
  const places = placesOf(new Maglev(candidates));
  expect(placesOf(new Maglev(candidates))).toEqual(places);
  expect(placesOf(new Maglev([...candidates].reverse()))).toEqual(places);
});

test('shares follow the weights', () => {
  const shares = sharesOf(placesOf(new Maglev(pool(1, 2, 3, 4))));
  for (let i = 0; i < 4; i++) expect(shares.get(`backend-${i}`)).toBeCloseTo((i + 1) / 10, 1.7);
  const many = [...sharesOf(placesOf(new Maglev(pool(...Array.from({ length: 200 }, () => 1))))).values()];
  expect(many).toHaveLength(200);
  expect(Math.max(...many) * 200).toBeLessThan(1.4);
});

test.each([3, 10, 100])('removing one of %i moves about its own keys', (count) => {
  const candidates = pool(...Array.from({ length: count }, () => 1));
  const before = placesOf(new Maglev(candidates));
  const after = placesOf(new Maglev(candidates.slice(1)));
  const own = before.filter((place) => place === 'backend-0').length / before.length;
  const others = moved(before, after) - own;
  process.stdout.write(
    `maglev, one of ${count} removed: ${(moved(before, after) * 100).toFixed(2)} % of the keys moved, ${(own * 100).toFixed(2)} % were its own\n`,
  );
  expect(own * count).toBeGreaterThan(0.85);
  expect(own * count).toBeLessThan(1.15);
  expect(others).toBeGreaterThanOrEqual(0);
  expect(others).toBeLessThan(0.03);
});

test('one that is away loses its keys and nobody else does, and gets them back', () => {
  const candidates = pool(1, 1, 2, 1);
  const balancer = new Maglev(candidates);
  const before = placesOf(balancer);
  const [away] = candidates as [TestCandidate];
  away.available = false;
  const during = placesOf(balancer);
  expect(during.filter((place, i) => before[i] !== away.name && place !== before[i])).toEqual([]);
  const spread = sharesOf(during.filter((_, i) => before[i] === away.name));
  expect(spread.get(away.name)).toBeUndefined();
  expect(spread.get('backend-2')).toBeCloseTo(0.5, 1.3);
  away.available = true;
  expect(placesOf(balancer)).toEqual(before);
});

test('a retry goes where the key would go without the one that was tried', () => {
  const candidates = pool(1, 1, 1);
  const balancer = new Maglev(candidates);
  const first = balancer.pick('ann', []) as TestCandidate;
  const second = balancer.pick('ann', [first]);
  first.available = false;
  expect(balancer.pick('ann', [])).toBe(second);
});

test('who weighs a thousandth of the others has a slot all the same', () => {
  // Its share would be a hundredth of a slot.
  const slots = 509;
  const candidates = pool(1, ...Array.from({ length: 80 }, () => 1000));
  const share = sharesOf(placesOf(new Maglev(candidates, slots))).get('backend-0') ?? 0;
  expect(share * slots).toBeGreaterThan(0.5);
  expect(share * slots).toBeLessThan(1.5);
});

test('where nearly all the weight is away, the rest share it by weight, in any order', () => {
  const candidates = pool(100_000, 1, 3);
  const [heavy] = candidates as [TestCandidate];
  heavy.available = false;
  // Each key is hashed again and again until it meets one that is there.
  const keys = KEYS.slice(0, 15_000);
  const places = placesOf(new Maglev(candidates), keys);
  expect(sharesOf(places).get('backend-1')).toBeCloseTo(0.25, 1.7);
  expect(placesOf(new Maglev([...candidates].reverse()), keys)).toEqual(places);
});

test('a weight that changes moves about what it has to', () => {
  const candidates = pool(1, 1, 1, 1);
  const balancer = new Maglev(candidates);
  const before = placesOf(balancer);
  (candidates[0] as TestCandidate).weight = 0;
  expect(placesOf(balancer)).toEqual(placesOf(new Maglev(candidates.slice(1))));
  (candidates[0] as TestCandidate).weight = 1;
  expect(placesOf(balancer)).toEqual(before);
});
