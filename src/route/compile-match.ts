import { ClientMatcher } from './client-matcher';
import { HostMatcher } from './host-matcher';
import { ListenerMatcher } from './listener-matcher';
import type { RouteMatch, ValueMatch } from './match';
import type { Matcher } from './matcher';
import { MethodMatcher } from './method-matcher';
import { NotMatcher } from './not-matcher';
import { PathMatcher, PathPrefixMatcher, PathRegexMatcher } from './path-matchers';
import { CookieMatcher, HeaderMatcher, QueryMatcher } from './value-matchers';

/** The conditions of a match, the cheap ones first, so that the others are rarely reached. */
export function compileMatch(match: RouteMatch): readonly Matcher[] {
  const matchers: Matcher[] = [];
  if (match.listener) matchers.push(new ListenerMatcher(match.listener));
  if (match.method) matchers.push(new MethodMatcher(match.method));
  if (match.host) matchers.push(new HostMatcher(match.host));
  if (match.path) matchers.push(new PathMatcher(match.path));
  if (match.path_prefix) matchers.push(new PathPrefixMatcher(match.path_prefix));
  if (match.client) matchers.push(new ClientMatcher(match.client));
  for (const [name, wanted] of valuesOf(match.headers)) matchers.push(new HeaderMatcher(name, wanted));
  for (const [name, wanted] of valuesOf(match.cookie)) matchers.push(new CookieMatcher(name, wanted));
  for (const [name, wanted] of valuesOf(match.query)) matchers.push(new QueryMatcher(name, wanted));
  if (match.path_regex) matchers.push(new PathRegexMatcher(match.path_regex));
  if (match.not) matchers.push(new NotMatcher(compileMatch(match.not)));
  return matchers;
}

function valuesOf(values: Readonly<Record<string, ValueMatch>> = {}): [string, ValueMatch][] {
  return Object.entries(values);
}
