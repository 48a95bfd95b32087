import { reachOf } from './reach';
import type { RouteRule } from './router';

/**
 * Whether every head at a listener leads to the same pool, and as it was sent: then no request can be meant for another pool
 * than the one before it, or would have been changed or answered on its way. It takes a rule that takes all that comes to the
 * listener, which everything reaches that no rule before it takes.
 */
export function leadToOnePool(rules: readonly RouteRule[], listener: string): boolean {
  const places: (string | undefined)[] = [];
  let complete = false;
  for (const rule of rules) {
    const reach = reachOf(rule.match ?? {}, { name: listener, headless: false });
    if (reach !== 'none') places.push(placeOf(rule));
    if ((complete = reach === 'all')) break;
  }
  if (!complete) return false;
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
