import type { RoutableHead } from '../peek/head';
import { compileMatch, type Matcher, type RouteMatch } from './matcher';
import { NormalisedHead } from './normalised-head';

export type { RouteMatch };

export interface RouteRule {
  /** Absent: every head. */
  readonly match?: RouteMatch;
  readonly pool: string;
}

interface CompiledRule<R> {
  readonly rule: R;
  readonly matchers: readonly Matcher[];
}

/** Finds the rule for a head: the first one whose conditions all hold. Rules are compiled once, on construction. */
export class Router<R extends RouteRule> {
  private readonly rules: readonly CompiledRule<R>[];
  /** One view for all heads, because match() never runs twice at a time. */
  private readonly view = new NormalisedHead();

  constructor(rules: readonly R[]) {
    this.rules = rules.map((rule) => ({ rule, matchers: compileMatch(rule.match ?? {}) }));
  }

  /** The rule as it was given to the constructor; undefined when none fits. */
  match(head: RoutableHead): R | undefined {
    const view = this.view.view(head);
    for (const { rule, matchers } of this.rules) {
      if (allMatch(matchers, view)) return rule;
    }
    return undefined;
  }
}

function allMatch(matchers: readonly Matcher[], head: RoutableHead): boolean {
  for (const matcher of matchers) {
    if (!matcher.matches(head)) return false;
  }
  return true;
}
