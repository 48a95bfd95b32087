import { isEligible, type Balancer, type Candidate } from './balancer';
import { hash32, rehash } from './hash';

/** A prime, far larger than the number of candidates (Eisenbud et al., Maglev, NSDI 2016, section 3.4). */
const TABLE_SIZE = 65_537;
/** Different seeds, so that a name's place and its step have nothing to do with each other. */
const [OFFSET_SEED, STEP_SEED, KEY_SEED, SCORE_SEED] = [1, 2, 3, 4];
/** No candidate's index: a pool has no more than 1,024. */
const NOBODY = 0xffff;
/** With nine tenths of the weight away, one key in a thousand misses the rest this often. */
const MOST_HASHES = 64;

/** A candidate's way through the table. */
interface Claim {
  readonly name: string;
  readonly index: number;
  readonly weight: number;
  readonly step: number;
  credit: number;
  /** The slot that it asks for next; adding `step` again and again visits all, as their number is a prime. */
  next: number;
}

/**
 * Consistent hashing: a key leads to the same candidate in every front with the same candidates, whatever their order, and
 * when one of n is removed, about 1/n of the keys move, nearly all of them its own.
 *
 * The table is made of all candidates with a weight, also of those that are away: where a key meets one of these, it is
 * hashed again until it meets another, so that nobody else's keys move, and the keys of the one that is away spread over
 * the rest by weight and come back with it.
 */
export class Maglev<B extends Candidate> implements Balancer<B> {
  private readonly table: Uint16Array;
  /** Those that the table was made with: weights may change. */
  private readonly weights: Float64Array;

  /** `size` is a prime; the keys of a candidate that leaves are not divided finely by a small one. */
  constructor(
    private readonly candidates: readonly B[],
    private readonly size = TABLE_SIZE,
  ) {
    this.table = new Uint16Array(size);
    this.weights = new Float64Array(candidates.length);
    // Now, because it takes milliseconds, and the first connection should not.
    this.followWeights();
  }

  pick(key: string, tried: readonly B[]): B | undefined {
    this.followWeights();
    let hash = hash32(key, KEY_SEED);
    for (let again = 0; again < MOST_HASHES; again++) {
      const candidate = this.candidates[this.table[hash % this.size] as number];
      if (candidate !== undefined && isEligible(candidate, tried)) return candidate;
      hash = rehash(hash);
    }
    return this.highest(hash, tried);
  }

  /** Where nearly all are away: weighted rendezvous hashing over the rest, which has to look at each. */
  private highest(hash: number, tried: readonly B[]): B | undefined {
    let found: B | undefined;
    let most = 0;
    for (const candidate of this.candidates) {
      if (!isEligible(candidate, tried)) continue;
      // In (0, 1), and different for each key and name.
      const share = (rehash(hash ^ hash32(candidate.name, SCORE_SEED)) + 0.5) / 2 ** 32;
      const score = candidate.weight / -Math.log(share);
      if (score > most) [found, most] = [candidate, score];
    }
    return found;
  }

  /** Makes the table anew where a weight has changed. */
  private followWeights(): void {
    let changed = false;
    for (let i = 0; i < this.candidates.length; i++) {
      const { weight } = this.candidates[i] as B;
      if (this.weights[i] === weight) continue;
      this.weights[i] = weight;
      changed = true;
    }
    if (changed) this.fill();
  }

  /**
   * Candidates take turns at claiming the next free slot of their own permutation of the table. A turn of the heaviest is
   * one slot; the others have one at first, however light they are, and then whenever their weights add up to that.
   */
  private fill(): void {
    const table = this.table.fill(NOBODY);
    const heaviest = Math.max(...this.weights);
    if (!(heaviest > 0)) return;
    const claims = this.claims(heaviest);
    for (let free = this.size; ;) {
      for (const claim of claims) {
        claim.credit += claim.weight;
        if (claim.credit < heaviest) continue;
        claim.credit -= heaviest;
        while (table[claim.next] !== NOBODY) claim.next = (claim.next + claim.step) % this.size;
        table[claim.next] = claim.index;
        if (--free === 0) return;
      }
    }
  }

  /** In the order of the names: that of the configuration is each front's own. */
  private claims(heaviest: number): Claim[] {
    return [...this.candidates.entries()]
      .map(([index, { name, weight }]) => ({
        name,
        index,
        weight,
        credit: weight > 0 ? heaviest - weight : 0,
        next: hash32(name, OFFSET_SEED) % this.size,
        step: 1 + (hash32(name, STEP_SEED) % (this.size - 1)),
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
