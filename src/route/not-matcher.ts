import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';
import { allOf } from './words';

/** Turns a match round: what it is made of must not hold as a whole. */
export class NotMatcher implements Matcher {
  readonly name = 'not';

  constructor(private readonly matchers: readonly Matcher[]) {}

  matches(head: MatchedHead): boolean {
    for (const matcher of this.matchers) {
      if (!matcher.matches(head)) return true;
    }
    return false;
  }

  failure(): string {
    return `all of it holds (${allOf(this.matchers.map(({ name }) => name))})`;
  }
}
