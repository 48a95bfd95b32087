import fc from 'fast-check';
import { RoundRobin } from '../../src/balance/round-robin';
import { candidate, describeBalancer, type TestCandidate } from './conformance';

describeBalancer('round-robin', (candidates) => new RoundRobin(candidates));

function picks(balancer: RoundRobin<TestCandidate>, count: number): string[] {
  return Array.from({ length: count }, () => balancer.pick('', [])?.name ?? '-');
}

function pool(...weights: number[]): TestCandidate[] {
  return weights.map((weight, i) => candidate('abcdefghij'.charAt(i), weight));
}

test('equal weights take turns in order', () => {
  expect(picks(new RoundRobin(pool(1, 1, 1)), 7).join('')).toBe('abcabca');
  expect(picks(new RoundRobin(pool(4, 4)), 6).join('')).toBe('ababab');
});

test('a heavy candidate is spread between the light ones', () => {
  // The sequence of nginx for these weights.
  expect(picks(new RoundRobin(pool(5, 1, 1)), 14).join('')).toBe('aabacaaaabacaa');
});

test('shares are exact over every period of the sum of the weights', () => {
  const weights = fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(
      weights.filter((each) => each.some((weight) => weight > 0)),
      (given) => {
        const candidates = pool(...given);
        const balancer = new RoundRobin(candidates);
        const period = given.reduce((sum, weight) => sum + weight);
        for (let round = 0; round < 3; round++) {
          const names = picks(balancer, period);
          expect(candidates.map(({ name }) => names.filter((each) => each === name).length)).toEqual(given);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('a candidate that is away loses its share to the others by their weights', () => {
  const candidates = pool(3, 2, 1);
  const balancer = new RoundRobin(candidates);
  (candidates[0] as TestCandidate).available = false;
  const names = picks(balancer, 30);
  expect(names.filter((name) => name === 'b')).toHaveLength(20);
  expect(names.filter((name) => name === 'c')).toHaveLength(10);
});

test('a candidate that comes back gets its share and no more', () => {
  const candidates = pool(1, 1, 1);
  const balancer = new RoundRobin(candidates);
  (candidates[0] as TestCandidate).available = false;
  picks(balancer, 1000);
  (candidates[0] as TestCandidate).available = true;
  expect(picks(balancer, 6).sort().join('')).toBe('aabbcc');
});

test('a retry goes to the next in turn and counts as its turn', () => {
  const [a, b, c] = pool(1, 1, 1) as [TestCandidate, TestCandidate, TestCandidate];
  const balancer = new RoundRobin([a, b, c]);
  expect(balancer.pick('', [])).toBe(a);
  expect(balancer.pick('', [a])).toBe(b);
  expect(balancer.pick('', [])).toBe(c);
});
