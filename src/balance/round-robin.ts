import { isEligible, type Balancer, type Candidate } from './balancer';

/**
 * Smooth weighted round robin, as nginx does it. At every pick each candidate earns credit by its weight, the
 * richest one is picked (the first of equals) and pays what all of them earned together. Over a period as long as
 * the sum of the weights the shares are exact, and a heavy candidate's turns are spread instead of in a row:
 *
 *   weights 5 1 1      credit after earning   picked   credit after paying
 *                          5  1  1              a         -2  1  1
 *                          3  2  2              a         -4  2  2
 *                          1  3  3              b          1 -4  3
 *                          6 -3  4              a         -1 -3  4
 *                          4 -2  5              c          4 -2 -2
 *                          9 -1 -1              a          2 -1 -1
 *                          7  0  0              a          0  0  0
 *
 * Who is not eligible neither earns nor pays, so nobody returns from an outage with saved-up credit.
 */
export class RoundRobin<B extends Candidate> implements Balancer<B> {
  private readonly credit: Float64Array;

  constructor(private readonly candidates: readonly B[]) {
    this.credit = new Float64Array(candidates.length);
  }

  pick(_key: string, tried: readonly B[]): B | undefined {
    let earned = 0;
    let richest = -1;
    let most = -Infinity;
    for (let i = 0; i < this.candidates.length; i++) {
      const candidate = this.candidates[i] as B;
      if (!isEligible(candidate, tried)) continue;
      const credit = (this.credit[i] as number) + candidate.weight;
      this.credit[i] = credit;
      earned += candidate.weight;
      if (credit > most) {
        most = credit;
        richest = i;
      }
    }
    if (richest < 0) return undefined;
    this.credit[richest] = most - earned;
    return this.candidates[richest];
  }
}
