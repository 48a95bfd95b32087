import type { Balancer, BalancerPolicy, Candidate } from './balancer';
import { RoundRobin } from './round-robin';

/** The balancer of a policy over these candidates. Throws an Error for a policy that this version does not have. */
export function createBalancer<B extends Candidate>(
  policy: BalancerPolicy,
  candidates: readonly B[],
): Balancer<B> {
  if (policy === 'round-robin') return new RoundRobin(candidates);
  throw new Error(`create balancer: this version has no policy '${policy}', only 'round-robin'`);
}
