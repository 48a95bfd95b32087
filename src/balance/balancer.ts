/** What can be picked. Weight and availability are read at every pick, so getters over live state are welcome. */
export interface Candidate {
  /** Its own among the candidates; policies that hash go by it. */
  readonly name: string;
  /** Its share relative to the others: 0 or more. 0 gets nothing. */
  readonly weight: number;
  readonly available: boolean;
  /** Connections that it has now, as far as is known. */
  readonly load: number;
}

/** A way to choose among the candidates that it was made with. */
export interface Balancer<B extends Candidate> {
  /**
   * Never a candidate that is unavailable, of weight 0 or in `tried`; undefined when no other is left.
   * `key` is what policies that hash choose by, '' for the rest.
   */
  pick(key: string, tried: readonly B[]): B | undefined;
}

export type BalancerPolicy = 'round-robin' | 'least-connections' | 'random-two' | 'maglev';

/** What every policy must ask before it considers a candidate. */
export function isEligible<B extends Candidate>(candidate: B, tried: readonly B[]): boolean {
  return candidate.available && candidate.weight > 0 && !tried.includes(candidate);
}
