import { isEligible, type Balancer, type Candidate } from './balancer';

/**
 * The candidate with the fewest connections for its weight, counting the one to come: a heavy one is asked first while
 * all are idle, and gets as much more than the others as its weight says when they are busy.
 *
 * Among equals smooth weighted turns (RoundRobin's credit) would need a state that loads make void all the time. Here a
 * turn begins behind the candidate that was picked last, which is as fair where weights are equal, and where they are not
 * the loads soon differ.
 */
export class LeastConnections<B extends Candidate> implements Balancer<B> {
  private last = -1;

  constructor(private readonly candidates: readonly B[]) {}

  pick(_key: string, tried: readonly B[]): B | undefined {
    const { candidates } = this;
    let found = -1;
    let least = Infinity;
    for (let i = 1; i <= candidates.length; i++) {
      const at = (this.last + i) % candidates.length;
      const candidate = candidates[at] as B;
      if (!isEligible(candidate, tried)) continue;
      const share = (candidate.load + 1) / candidate.weight;
      if (share >= least) continue;
      found = at;
      least = share;
    }
    if (found < 0) return undefined;
    this.last = found;
    return candidates[found];
  }
}
