import type { RoutableHead } from '../peek/head';
import { CompiledRule } from './compiled-rule';
import type { HeadEdits } from './head-edits';
import type { RouteMatch } from './matcher';
import { NormalisedHead } from './normalised-head';
import { RuleIndex } from './rule-index';
import { Search } from './search';

export type { RouteMatch };

/** Pools that share the heads of a rule. */
export interface RouteSplit {
  readonly pools: readonly { readonly name: string; readonly weight: number }[];
  /** What decides about a head: client, path, header:NAME or cookie:NAME; absent, chance does. */
  readonly by?: string;
}

export interface RouteRule {
  /** Absent: every head. */
  readonly match?: RouteMatch;
  /** The pool of all its heads, or `split`; a rule without either answers by itself. */
  readonly pool?: string;
  readonly split?: RouteSplit;
  /** What is changed of its heads. */
  readonly edits?: HeadEdits;
}

/**
 * Finds the rule for a head: the first one whose conditions all hold. Rules are compiled and indexed once, on
 * construction, so a head costs the same with ten rules and with ten thousand, unless these differ in nothing but method
 * or headers (RuleIndex).
 */
export class Router<R extends RouteRule> {
  private readonly rules: readonly R[];
  private readonly index = new RuleIndex();
  /** One view and one search for all heads, because match() never runs twice at a time. */
  private readonly view = new NormalisedHead();
  private readonly search = new Search(this.view);

  constructor(rules: readonly R[]) {
    this.rules = [...rules];
    for (const [number, { match = {} }] of this.rules.entries()) {
      this.index.add(new CompiledRule(number, match), match);
    }
  }

  /** The rule as it was given to the constructor; undefined when none fits. */
  match(head: RoutableHead): R | undefined {
    this.view.view(head);
    this.search.begin(this.rules.length);
    this.index.search(this.search);
    return this.rules[this.search.found];
  }
}
