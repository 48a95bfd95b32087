import type { RoutableHead } from '../peek/head';
import { isSuffixPattern, normaliseHostPatterns } from './host';
import { normalisePath } from './path';

/** One condition of a rule. It sees the head with its host and path normalised. */
export interface Matcher {
  matches(head: RoutableHead): boolean;
}

/** What a head must be like: every key that is given must hold, and of a list any member. */
export interface RouteMatch {
  /** Exact host, or `*.suffix` for one or more labels before the suffix; in any case, IPv6 without brackets. */
  readonly host?: readonly string[];
  readonly path?: readonly string[];
  /** Whole segments: `/v1` is a prefix of `/v1` and `/v1/x`, not of `/v10`; `/v1/` only of what is below it. */
  readonly path_prefix?: readonly string[];
  /** Case-sensitive, like methods themselves. */
  readonly method?: readonly string[];
  /** Field name in any case -> exact value. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** The conditions of a match, the cheap ones first, so that the others are rarely reached. */
export function compileMatch(match: RouteMatch): readonly Matcher[] {
  const matchers: Matcher[] = [];
  if (match.method) matchers.push(new MethodMatcher(match.method));
  if (match.host) matchers.push(new HostMatcher(match.host));
  if (match.path) matchers.push(new PathMatcher(match.path));
  if (match.path_prefix) matchers.push(new PathPrefixMatcher(match.path_prefix));
  for (const [name, value] of Object.entries(match.headers ?? {})) {
    matchers.push(new HeaderMatcher(name.toLowerCase(), value));
  }
  return matchers;
}

class MethodMatcher implements Matcher {
  private readonly methods: ReadonlySet<string>;

  constructor(methods: readonly string[]) {
    this.methods = new Set(methods);
  }

  matches(head: RoutableHead): boolean {
    return this.methods.has(head.method);
  }
}

class HostMatcher implements Matcher {
  private readonly exact: ReadonlySet<string>;
  /** Each with its leading dot, so that a label must come before it. */
  private readonly suffixes: readonly string[];

  constructor(hosts: readonly string[]) {
    const patterns = normaliseHostPatterns(hosts);
    this.exact = new Set(patterns.filter((pattern) => !isSuffixPattern(pattern)));
    this.suffixes = patterns.filter(isSuffixPattern).map((pattern) => pattern.slice(1));
  }

  matches(head: RoutableHead): boolean {
    const host = head.host;
    if (this.exact.has(host)) return true;
    for (const suffix of this.suffixes) {
      if (host.length > suffix.length && host.endsWith(suffix)) return true;
    }
    return false;
  }
}

class PathMatcher implements Matcher {
  private readonly paths: ReadonlySet<string>;

  constructor(paths: readonly string[]) {
    this.paths = new Set(paths.map(normalisePath));
  }

  matches(head: RoutableHead): boolean {
    return this.paths.has(head.path);
  }
}

class PathPrefixMatcher implements Matcher {
  private readonly prefixes: readonly string[];

  constructor(prefixes: readonly string[]) {
    this.prefixes = prefixes.map(normalisePath);
  }

  matches(head: RoutableHead): boolean {
    const path = head.path;
    for (const prefix of this.prefixes) {
      if (path.startsWith(prefix) && endsSegment(path, prefix)) return true;
    }
    return false;
  }
}

/** Whether the prefix, which the path starts with, ends where a segment of the path does. */
function endsSegment(path: string, prefix: string): boolean {
  return prefix.endsWith('/') || path.length === prefix.length || path[prefix.length] === '/';
}

class HeaderMatcher implements Matcher {
  constructor(
    private readonly lowerCaseName: string,
    private readonly value: string,
  ) {}

  matches(head: RoutableHead): boolean {
    return head.header(this.lowerCaseName) === this.value;
  }
}
