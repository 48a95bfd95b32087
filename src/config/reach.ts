import type { RouteMatch } from '../route/match';
import { reachOf } from '../route/reach';
import { EDITS } from './actions';
import type { Path, ProblemReport } from './problems';
import type { FrontInput } from './schema';

type RouteInput = FrontInput['routes'][number];
type ListenerInput = FrontInput['listeners'][number];

const EDIT_KEYS = Object.keys(EDITS) as (keyof typeof EDITS)[];
const ANSWER_KEYS = ['respond', 'redirect'] as const;

/** What must hold between listeners and routes: each listener without heads is led somewhere, and each route somewhere from. */
export function checkReach({ listeners, routes }: FrontInput, report: ProblemReport): void {
  const names = new Set(listeners.map(({ name }) => name));
  const lost = new Set(listeners.filter(({ protocol }) => protocol === 'tcp'));
  routes.forEach((route, index) => {
    const wanted = [route.match?.listener ?? []].flat();
    if (lost.size === 0 && wanted.length === 0 && route.match?.not?.listener === undefined) return;
    const reached = reachedBy(route, listeners);
    for (const listener of reached) lost.delete(listener);
    const path = ['routes', index];
    if (reached.length > 0) checkUse(route, reached, path, report);
    // A name that there is not has been complained of.
    else if (wanted.every((name) => names.has(name))) {
      const why = listeners.some(
        ({ name, protocol }) => protocol === 'tcp' && (wanted.length === 0 || wanted.includes(name)),
      );
      report.add(
        [...path, 'match'],
        `takes no connection${why ? ': those to a tcp listener have no head' : ''}`,
      );
    }
  });
  listeners.forEach((listener, index) => {
    if (lost.has(listener))
      report.add(
        ['listeners', index],
        `no route takes its connections, which have no head: add one with "match: { listener: ${listener.name} }"`,
      );
  });
}

function reachedBy({ match = {} }: RouteInput, listeners: readonly ListenerInput[]): ListenerInput[] {
  const { not, ...rest } = match;
  const wanted = { ...withList(rest), ...(not && { not: withList(not) }) };
  return listeners.filter(
    ({ name, protocol }) => reachOf(wanted, { name, headless: protocol === 'tcp' }) !== 'none',
  );
}

/** One spelling for what has two; of the others only matters whether they are there. */
function withList({
  listener,
  ...rest
}: Omit<NonNullable<RouteInput['match']>, 'not'>): Omit<RouteMatch, 'not'> {
  return { ...(rest as RouteMatch), ...(listener !== undefined && { listener: [listener].flat() }) };
}

/** A route to which nothing comes but connections without a head. */
function checkUse(
  route: RouteInput,
  reached: readonly ListenerInput[],
  path: Path,
  report: ProblemReport,
): void {
  if (reached.some(({ protocol }) => protocol !== 'tcp')) return;
  for (const key of ANSWER_KEYS)
    if (route[key] !== undefined)
      report.add([...path, key], 'a tcp connection has no request to answer: use pool, split or deny');
  for (const key of EDIT_KEYS)
    if (route[key] !== undefined) report.add([...path, key], 'a tcp connection has no head to edit');
}
