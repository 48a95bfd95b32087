import { hash32, rehash } from './hash';

/** One of those that share something. */
export interface Share {
  /** Its own among them: what a key is hashed with. */
  readonly name: string;
  /** Its part relative to the others: an integer, 0 or more. 0 gets nothing. */
  readonly weight: number;
}

/** Other seeds than a pool's table has (maglev.ts), or all keys of one share would meet a part of its backends. */
const [KEY_SEED, NAME_SEED] = [5, 6];

/**
 * Divides keys, or chances, by weight. A key is led by weighted rendezvous hashing: names and weights decide, not their
 * order, so fronts that have the same agree; and when one weight is raised, the keys that move all move there.
 */
export class WeightedSplit<S extends Share> {
  private readonly shares: readonly S[];
  private readonly hashes: readonly number[];
  private readonly total: number;

  /** At least one of the shares has a weight. `random` is in [0, 1). */
  constructor(
    shares: readonly S[],
    private readonly random: () => number = Math.random,
  ) {
    this.shares = shares.filter(({ weight }) => weight > 0);
    if (this.shares.length === 0) throw new RangeError('weighted split: nothing has a weight');
    this.hashes = this.shares.map(({ name }) => hash32(name, NAME_SEED));
    this.total = this.shares.reduce((sum, { weight }) => sum + weight, 0);
  }

  /** Any of them, as often as its weight says. */
  any(): S {
    let left = this.random() * this.total;
    for (const share of this.shares) {
      left -= share.weight;
      if (left < 0) return share;
    }
    // Not even rounding leads here: the weights are integers.
    return this.shares.at(-1) as S;
  }

  /** Always the same one for a key. */
  of(key: string): S {
    const hash = hash32(key, KEY_SEED);
    let found = this.shares[0] as S;
    let most = -1;
    for (const [i, share] of this.shares.entries()) {
      // In (0, 1), and different for each key and name.
      const draw = (rehash(hash ^ (this.hashes[i] as number)) + 0.5) / 2 ** 32;
      const score = share.weight / -Math.log(draw);
      if (score > most) [found, most] = [share, score];
    }
    return found;
  }
}
