import { isEligible, type Balancer, type Candidate } from './balancer';

/**
 * Two candidates at random, each with the chance that its weight gives it, and of these the one with fewer connections for
 * its weight; the first of them where they are equal (Mitzenmacher, The Power of Two Choices, 2001).
 *
 * What several fronts, or threads, know of loads is a moment old. All of them would send what comes in that moment to the
 * same least loaded candidate; two at random spread it.
 */
export class RandomTwo<B extends Candidate> implements Balancer<B> {
  constructor(
    private readonly candidates: readonly B[],
    /** At least 0 and less than 1. */
    private readonly random: () => number = Math.random,
  ) {}

  pick(_key: string, tried: readonly B[]): B | undefined {
    const first = this.draw(tried, undefined);
    if (first === undefined) return undefined;
    const second = this.draw(tried, first);
    if (second === undefined) return first;
    return second.load * first.weight < first.load * second.weight ? second : first;
  }

  /** One of the eligible ones but `other`, by weight. */
  private draw(tried: readonly B[], other: B | undefined): B | undefined {
    let total = 0;
    for (const candidate of this.candidates) {
      if (candidate !== other && isEligible(candidate, tried)) total += candidate.weight;
    }
    let left = this.random() * total;
    let last: B | undefined;
    for (const candidate of this.candidates) {
      if (candidate === other || !isEligible(candidate, tried)) continue;
      last = candidate;
      left -= candidate.weight;
      if (left < 0) break;
    }
    // Rounding may leave a little when all have been passed.
    return last;
  }
}
