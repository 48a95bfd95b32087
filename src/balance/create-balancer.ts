import type { Balancer, BalancerPolicy, Candidate } from './balancer';
import { Maglev } from './maglev';
import { RoundRobin } from './round-robin';

/** The balancer of a policy over these candidates. Throws an Error for a policy that this version does not have. */
export function createBalancer<B extends Candidate>(
  policy: BalancerPolicy,
  candidates: readonly B[],
): Balancer<B> {
  switch (policy) {
    case 'round-robin':
      return new RoundRobin(candidates);
    case 'maglev':
      return new Maglev(candidates);
    default:
      throw new Error(`create balancer: this version has no policy '${policy}'`);
  }
}
