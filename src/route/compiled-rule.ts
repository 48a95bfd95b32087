import type { RoutableHead } from '../peek/head';
import { compileMatch, type Matcher, type RouteMatch } from './matcher';

/** The conditions of a rule, and its place among the rules: the lower number wins. */
export class CompiledRule {
  private readonly matchers: readonly Matcher[];

  constructor(
    readonly number: number,
    match: RouteMatch,
  ) {
    this.matchers = compileMatch(match);
  }

  matches(head: RoutableHead): boolean {
    for (const matcher of this.matchers) {
      if (!matcher.matches(head)) return false;
    }
    return true;
  }
}
