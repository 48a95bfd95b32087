import { createBalancer } from '../../src/balance/create-balancer';
import { RoundRobin } from '../../src/balance/round-robin';

test('round-robin', () => {
  expect(createBalancer('round-robin', [{ weight: 1, available: true }])).toBeInstanceOf(RoundRobin);
});

test.each(['least-connections', 'random-two', 'maglev'] as const)('%s is refused by name', (policy) => {
  expect(() => createBalancer(policy, [])).toThrow(`no policy '${policy}'`);
});
