import { RandomTwo } from '../../src/balance/random-two';
import { candidate, describeBalancer, type TestCandidate } from './conformance';

describeBalancer('random-two', (candidates) => new RandomTwo(candidates));

/** Numbers that a linear congruential generator makes (Numerical Recipes): the same in every run. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

function pool(...weights: number[]): TestCandidate[] {
  return weights.map((weight, i) => candidate('abcdefghij'.charAt(i), weight));
}

function counts(candidates: readonly TestCandidate[], picks: number, stays: boolean): number[] {
  const balancer = new RandomTwo(candidates, seeded(7));
  const counted = new Map<string, number>();
  for (let i = 0; i < picks; i++) {
    const { name } = balancer.pick('', []) as TestCandidate;
    counted.set(name, (counted.get(name) ?? 0) + 1);
    if (stays) candidates.forEach((each) => (each.load += each.name === name ? 1 : 0));
  }
  return candidates.map(({ name }) => counted.get(name) ?? 0);
}

test('while none has connections, weights decide', () => {
  const [a = 0, b = 0, c = 0] = counts(pool(6, 3, 1), 20_000, false);
  expect(a / 20_000).toBeCloseTo(0.6, 1);
  expect(b / 20_000).toBeCloseTo(0.3, 1);
  expect(c / 20_000).toBeCloseTo(0.1, 1);
});

test('where connections stay, the fullest is close to its share', () => {
  // One choice at random would leave the fullest of ten some 60 above the 2,000; two choices leave a few.
  for (const load of counts(pool(1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 20_000, true)) {
    expect(Math.abs(load - 2000)).toBeLessThan(10);
  }
  const [a = 0, b = 0] = counts(pool(3, 1), 4000, true);
  expect(Math.abs(a - 3000)).toBeLessThan(10);
  expect(Math.abs(b - 1000)).toBeLessThan(10);
});

test('of two that are drawn the fuller one is never picked', () => {
  const candidates = pool(1, 1);
  (candidates[0] as TestCandidate).load = 1;
  expect(counts(candidates, 100, false)).toEqual([0, 100]);
});

test('a number close to 1 leads to the last one, never to none', () => {
  const candidates = [0.1, 0.2, 0.3].map((weight, i) => candidate(`c${i}`, weight));
  expect(new RandomTwo(candidates, () => 1 - Number.EPSILON / 2).pick('', [])).toBeDefined();
});
