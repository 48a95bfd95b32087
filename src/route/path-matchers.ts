import type { MatchedHead } from './matched-head';
import type { Matcher } from './matcher';
import { normalisePath } from './path';
import { Pattern } from './pattern';
import { anyOf, word } from './words';

export class PathMatcher implements Matcher {
  readonly name = 'path';
  private readonly paths: ReadonlySet<string>;

  constructor(paths: readonly string[]) {
    this.paths = new Set(paths.map(normalisePath));
  }

  matches(head: MatchedHead): boolean {
    return this.paths.has(head.path);
  }

  failure(head: MatchedHead): string {
    return `is ${word(head.path)}, not ${anyOf([...this.paths])}`;
  }
}

export class PathPrefixMatcher implements Matcher {
  readonly name = 'path_prefix';
  private readonly prefixes: readonly string[];

  constructor(prefixes: readonly string[]) {
    this.prefixes = prefixes.map(normalisePath);
  }

  matches(head: MatchedHead): boolean {
    const path = head.path;
    for (const prefix of this.prefixes) {
      if (path.startsWith(prefix) && endsSegment(path, prefix)) return true;
    }
    return false;
  }

  failure(head: MatchedHead): string {
    return `${word(head.path)} is not below ${anyOf(this.prefixes)}`;
  }
}

/** Whether the prefix, which the path starts with, ends where a segment of the path does. */
function endsSegment(path: string, prefix: string): boolean {
  return prefix.endsWith('/') || path.length === prefix.length || path[prefix.length] === '/';
}

export class PathRegexMatcher implements Matcher {
  readonly name = 'path_regex';
  private readonly patterns: readonly Pattern[];

  constructor(patterns: readonly string[]) {
    this.patterns = patterns.map((pattern) => new Pattern(pattern));
  }

  matches(head: MatchedHead): boolean {
    // Else `.*` would hold.
    if (head.isAbsent) return false;
    const path = head.path;
    for (const pattern of this.patterns) {
      if (pattern.fits(path)) return true;
    }
    return false;
  }

  failure(head: MatchedHead): string {
    return `${word(head.path)} as a whole is no match of ${anyOf(this.patterns.map(({ text }) => text))}`;
  }
}
