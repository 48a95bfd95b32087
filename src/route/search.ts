import type { CompiledRule } from './compiled-rule';
import type { MatchedHead } from './matched-head';

/**
 * The search for the first rule that fits a head. An index offers it lists of rules, in any order; each list is
 * ascending, so of each it tries no more than what comes before the best so far. Reusable, with a head that is: begin()
 * forgets what was found.
 */
export class Search {
  /** The lowest number of a rule that fits, or where the rules end while there is none. */
  found = 0;

  constructor(readonly head: MatchedHead) {}

  begin(end: number): void {
    this.found = end;
  }

  offer(rules: readonly CompiledRule[]): void {
    for (const rule of rules) {
      if (rule.number >= this.found) return;
      if (rule.matches(this.head)) this.found = rule.number;
    }
  }
}
