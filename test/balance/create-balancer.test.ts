import { createBalancer } from '../../src/balance/create-balancer';
import { LeastConnections } from '../../src/balance/least-connections';
import { Maglev } from '../../src/balance/maglev';
import { RandomTwo } from '../../src/balance/random-two';
import { RoundRobin } from '../../src/balance/round-robin';
import { candidate } from './conformance';

test.each([
  ['round-robin', RoundRobin],
  ['least-connections', LeastConnections],
  ['random-two', RandomTwo],
  ['maglev', Maglev],
] as const)('%s', (policy, balancer) => {
  expect(createBalancer(policy, [candidate('a')])).toBeInstanceOf(balancer);
});
