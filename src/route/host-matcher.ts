import { isSuffixPattern, normaliseHostPatterns } from './host';
import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';
import { anyOf, word } from './words';

export class HostMatcher implements Matcher {
  readonly name = 'host';
  private readonly patterns: readonly string[];
  private readonly exact: ReadonlySet<string>;
  /** Each with its leading dot, so that a label must come before it. */
  private readonly suffixes: readonly string[];

  constructor(hosts: readonly string[]) {
    this.patterns = normaliseHostPatterns(hosts);
    this.exact = new Set(this.patterns.filter((pattern) => !isSuffixPattern(pattern)));
    this.suffixes = this.patterns.filter(isSuffixPattern).map((pattern) => pattern.slice(1));
  }

  matches(head: MatchedHead): boolean {
    const host = head.host;
    if (this.exact.has(host)) return true;
    for (const suffix of this.suffixes) {
      if (host.length > suffix.length && host.endsWith(suffix)) return true;
    }
    return false;
  }

  failure(head: MatchedHead): string {
    return `is ${word(head.host)}, not ${anyOf(this.patterns)}`;
  }
}
