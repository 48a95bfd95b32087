import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';
import { anyOf, word } from './words';

export class MethodMatcher implements Matcher {
  readonly name = 'method';
  private readonly methods: ReadonlySet<string>;

  constructor(methods: readonly string[]) {
    this.methods = new Set(methods);
  }

  matches(head: MatchedHead): boolean {
    return this.methods.has(head.method);
  }

  failure(head: MatchedHead): string {
    return `is ${word(head.method)}, not ${anyOf([...this.methods])}`;
  }
}
