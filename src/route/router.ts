import type { Asker, RoutableHead } from '../peek/head';
import { CompiledRule } from './compiled-rule';
import type { HeadEdits } from './head-edits';
import type { RouteMatch } from './match';
import { MatchedHead } from './matched-head';
import { RuleIndex } from './rule-index';
import { Search } from './search';
import type { RuleVerdict } from './verdict';

export type { RouteMatch, RuleVerdict };

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
 * construction, so a head costs the same with ten rules and with ten thousand, unless these differ in neither host nor
 * path nor prefix (RuleIndex).
 */
export class Router<R extends RouteRule> {
  private readonly rules: readonly R[];
  private readonly compiled: readonly CompiledRule[];
  private readonly index = new RuleIndex();
  /** One view and one search for all heads, because neither match() nor explain() runs twice at a time. */
  private readonly view = new MatchedHead();
  private readonly search = new Search(this.view);

  /** Throws a RangeError for a pattern or a network that is none. */
  constructor(rules: readonly R[]) {
    this.rules = [...rules];
    this.compiled = this.rules.map(({ match = {} }, number) => {
      const rule = new CompiledRule(number, match);
      this.index.add(rule, match);
      return rule;
    });
  }

  /** The rule as it was given to the constructor; undefined when none fits. */
  match(head: RoutableHead, asker: Asker): R | undefined {
    this.view.view(head, asker);
    this.search.begin(this.rules.length);
    this.index.search(this.search);
    return this.rules[this.search.found];
  }

  /** What becomes of each rule, in their order. It tries them in turn, without the index: it is for people, not for heads. */
  explain(head: RoutableHead, asker: Asker): RuleVerdict[] {
    this.view.view(head, asker);
    let reached = true;
    return this.compiled.map((rule) => {
      const failed = rule.failure(this.view);
      const verdict = { number: rule.number, matched: failed === undefined, reached };
      reached &&= !verdict.matched;
      return failed === undefined ? verdict : { ...verdict, failed };
    });
  }
}
