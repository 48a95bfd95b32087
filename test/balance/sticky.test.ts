import { RoundRobin } from '../../src/balance/round-robin';
import { Sticky, stickyKey } from '../../src/balance/sticky';
import { candidate, describeBalancer, type TestCandidate } from './conformance';

const sticky = (candidates: readonly TestCandidate[]): Sticky<TestCandidate> =>
  new Sticky(candidates, new RoundRobin(candidates));

describeBalancer('sticky', sticky);

test('the one that is named is picked, the others take turns', () => {
  const balancer = sticky(['a', 'b', 'c'].map((name) => candidate(name)));
  const picks = ['b', 'b', '', 'b', 'nobody', '', ''].map(
    (name) => balancer.pick(stickyKey(name, ''), [])?.name,
  );
  expect(picks).toEqual(['b', 'b', 'a', 'b', 'b', 'c', 'a']);
});

test('a session moves while its candidate is away, weightless or tried, and comes back', () => {
  const candidates = ['a', 'b'].map((name) => candidate(name));
  const [a, b] = candidates as [TestCandidate, TestCandidate];
  const balancer = sticky(candidates);
  const pick = (tried: readonly TestCandidate[] = []): string | undefined =>
    balancer.pick(stickyKey('a', 'key'), tried)?.name;
  expect(pick()).toBe('a');
  expect(pick([a])).toBe('b');
  a.available = false;
  expect(pick()).toBe('b');
  a.available = true;
  expect(pick()).toBe('a');
  a.weight = 0;
  expect(pick([b])).toBeUndefined();
});

test('the policy behind gets its own key', () => {
  const keys: string[] = [];
  const policy = { pick: (key: string) => void keys.push(key) };
  const balancer = new Sticky([candidate('a', 0)], policy);
  for (const key of [stickyKey('a', 'k'), stickyKey('', 'k'), stickyKey('x', ''), 'bare'])
    balancer.pick(key, []);
  expect(keys).toEqual(['k', 'k', '', 'bare']);
});
