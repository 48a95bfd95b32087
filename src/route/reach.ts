import type { HeadMatch, RouteMatch } from './match';

/** A listener, as far as routes may tell its connections from those of others. */
export interface ReachedListener {
  readonly name: string;
  /** Whether its connections have no head. */
  readonly headless: boolean;
}

/** How much a match takes of what comes to a listener. */
export type Reach = 'all' | 'some' | 'none';

/** What the listener alone says: where a head or a client decides, that is `some`. */
export function reachOf({ not, ...match }: RouteMatch, listener: ReachedListener): Reach {
  const wanted = holds(match, listener);
  const unwanted = not === undefined ? 'none' : holds(not, listener);
  if (wanted === 'none' || unwanted === 'all') return 'none';
  return wanted === 'all' && unwanted === 'none' ? 'all' : 'some';
}

function holds(
  { listener: names, client, ...ofHead }: HeadMatch,
  { name, headless }: ReachedListener,
): Reach {
  if (names !== undefined && !names.includes(name)) return 'none';
  const asksHead = Object.keys(ofHead).length > 0;
  if (asksHead && headless) return 'none';
  return asksHead || client !== undefined ? 'some' : 'all';
}
