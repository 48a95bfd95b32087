import { createBalancer } from '../../src/balance/create-balancer';
import { Maglev } from '../../src/balance/maglev';
import { RoundRobin } from '../../src/balance/round-robin';
import { candidate } from './conformance';

test.each([
  ['round-robin', RoundRobin],
  ['maglev', Maglev],
] as const)('%s', (policy, balancer) => {
  expect(createBalancer(policy, [candidate('a')])).toBeInstanceOf(balancer);
});

test.each(['least-connections', 'random-two'] as const)('%s is refused by name', (policy) => {
  expect(() => createBalancer(policy, [])).toThrow(`no policy '${policy}'`);
});
