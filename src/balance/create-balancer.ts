import type { Balancer, BalancerPolicy, Candidate } from './balancer';
import { LeastConnections } from './least-connections';
import { Maglev } from './maglev';
import { RandomTwo } from './random-two';
import { RoundRobin } from './round-robin';

/** The balancer of a policy over these candidates. */
export function createBalancer<B extends Candidate>(
  policy: BalancerPolicy,
  candidates: readonly B[],
): Balancer<B> {
  switch (policy) {
    case 'round-robin':
      return new RoundRobin(candidates);
    case 'least-connections':
      return new LeastConnections(candidates);
    case 'random-two':
      return new RandomTwo(candidates);
    case 'maglev':
      return new Maglev(candidates);
  }
}
