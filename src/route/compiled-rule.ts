import { compileMatch } from './compile-match';
import type { RouteMatch } from './match';
import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';

/** The conditions of a rule, and its place among the rules: the lower number wins. */
export class CompiledRule {
  private readonly matchers: readonly Matcher[];

  constructor(
    readonly number: number,
    match: RouteMatch,
  ) {
    this.matchers = compileMatch(match);
  }

  matches(head: MatchedHead): boolean {
    for (const matcher of this.matchers) {
      if (!matcher.matches(head)) return false;
    }
    return true;
  }

  /** The first condition that does not hold, and why; undefined where all do. */
  failure(head: MatchedHead): string | undefined {
    const failed = this.matchers.find((matcher) => !matcher.matches(head));
    return failed && `${failed.name}: ${failed.failure(head)}`;
  }
}
