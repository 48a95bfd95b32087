import type { RouteRule } from './router';

/**
 * Whether every head leads to the same pool: then no request can be meant for another pool than the one before it. It
 * takes a rule without a match, which everything reaches that no rule before it takes.
 */
export function leadToOnePool(rules: readonly RouteRule[]): boolean {
  const last = rules.findIndex(({ match }) => match === undefined || Object.keys(match).length === 0);
  const reached = rules.slice(0, last + 1);
  return last >= 0 && reached.every(({ pool }) => pool === rules[0]?.pool);
}
