import fc from 'fast-check';
import { LeastConnections } from '../../src/balance/least-connections';
import { candidate, describeBalancer, type TestCandidate } from './conformance';

describeBalancer('least-connections', (candidates) => new LeastConnections(candidates));

function pool(...weights: number[]): TestCandidate[] {
  return weights.map((weight, i) => candidate('abcdefghij'.charAt(i), weight));
}

/** Picks one after the other, each of which stays. */
function fill(candidates: readonly TestCandidate[], count: number): void {
  const balancer = new LeastConnections(candidates);
  for (let i = 0; i < count; i++) (balancer.pick('', []) as TestCandidate).load += 1;
}

test('equals take turns, also while none has a connection', () => {
  const balancer = new LeastConnections(pool(1, 1, 1));
  expect(Array.from({ length: 7 }, () => balancer.pick('', [])?.name).join('')).toBe('abcabca');
});

test('the one with the fewest is picked, wherever it stands', () => {
  const candidates = pool(1, 1, 1);
  [7, 3, 5].forEach((load, i) => ((candidates[i] as TestCandidate).load = load));
  const balancer = new LeastConnections(candidates);
  for (let i = 0; i < 3; i++) expect(balancer.pick('', [])?.name).toBe('b');
});

test('where connections stay, all are as full as their weights say', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 2000 }), (given, count) => {
      const candidates = pool(...given);
      fill(candidates, count);
      // The one that was filled last had the least share, its next connection included.
      const shares = candidates.map(({ load, weight }) => load / weight);
      const next = candidates.map(({ load, weight }) => (load + 1) / weight);
      expect(Math.max(...shares)).toBeLessThanOrEqual(Math.min(...next) + 1e-9);
    }),
    { numRuns: 200 },
  );
});

test('one that comes back empty is filled first', () => {
  const candidates = pool(1, 1, 1);
  const [first] = candidates as [TestCandidate];
  first.available = false;
  fill(candidates, 100);
  first.available = true;
  fill(candidates, 50);
  expect(candidates.map(({ load }) => load)).toEqual([50, 50, 50]);
});
