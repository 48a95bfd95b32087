import type { RouteRule } from './router';

/**
 * Whether every head leads to the same pool, and as it was sent: then no request can be meant for another pool than the one
 * before it, or would have been changed or answered on its way. It takes a rule without a match, which everything reaches
 * that no rule before it takes.
 */
export function leadToOnePool(rules: readonly RouteRule[]): boolean {
  const last = rules.findIndex(({ match }) => match === undefined || Object.keys(match).length === 0);
  if (last < 0) return false;
  const places = rules.slice(0, last + 1).map(placeOf);
  return places[0] !== undefined && places.every((place) => place === places[0]);
}

/** What tells where all requests of one client go by a rule; undefined where they may differ, or go nowhere. */
function placeOf({ pool, split, edits }: RouteRule): string | undefined {
  if (edits !== undefined) return undefined;
  if (split === undefined) return pool;
  const [first, ...others] = split.pools.filter(({ weight }) => weight > 0);
  if (others.length === 0) return first?.name;
  // A client has the same address in all requests of a connection.
  return split.by === 'client' ? JSON.stringify(split.pools) : undefined;
}
