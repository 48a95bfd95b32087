import { isEligible, type Balancer, type Candidate } from './balancer';

/** Between the name of the preferred candidate and the key of the policy: no name has it. */
const SEPARATOR = '\0';

/** The key for `Sticky`: who is preferred, and what the policy behind goes by. */
export function stickyKey(preferred: string, key: string): string {
  return preferred + SEPARATOR + key;
}

/**
 * A session stays where it is: the candidate that a key names is picked as long as it may be, whatever the policy behind,
 * which picks where nobody is named, the named one is away or was tried, or there is none of that name.
 */
export class Sticky<B extends Candidate> implements Balancer<B> {
  private readonly byName: ReadonlyMap<string, B>;

  constructor(
    candidates: readonly B[],
    private readonly policy: Balancer<B>,
  ) {
    this.byName = new Map(candidates.map((candidate) => [candidate.name, candidate]));
  }

  pick(key: string, tried: readonly B[]): B | undefined {
    const end = key.indexOf(SEPARATOR);
    const preferred = end < 0 ? undefined : this.byName.get(key.slice(0, end));
    if (preferred !== undefined && isEligible(preferred, tried)) return preferred;
    return this.policy.pick(key.slice(end + 1), tried);
  }
}
