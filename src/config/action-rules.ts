import { MOST_ADDED_BYTES } from '../peek/edited-head';
import { addedBytes } from '../route/head-edits';
import { objectionTo } from '../route/location';
import { normalisePath } from '../route/path';
import { isBelow } from '../route/strip-prefix';
import { ACTIONS, EDITS, MAX_BODY_BYTES } from './actions';
import { editsOf } from './action';
import { didYouMean } from './nearest';
import type { Path, ProblemReport } from './problems';
import type { FrontInput } from './schema';

type RouteInput = FrontInput['routes'][number];
type Pools = FrontInput['pools'];

const ACTION_KEYS = Object.keys(ACTIONS) as (keyof typeof ACTIONS)[];
const EDIT_KEYS = Object.keys(EDITS) as (keyof typeof EDITS)[];

/** Fields that say where a message ends, where it goes, or what becomes of its connection. */
const FRAMING = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** Statuses whose answers have no body (RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5). */
const BODILESS = new Set([204, 205, 304]);

/** What must hold of a route's action and edits; `pools` are those that there are. */
export function checkAction(route: RouteInput, path: Path, pools: Pools, report: ProblemReport): void {
  const actions = ACTION_KEYS.filter((key) => route[key] !== undefined);
  const [first, second] = actions;
  if (first === undefined) report.add(path, `needs one of ${ACTION_KEYS.join(', ')}`);
  if (second !== undefined)
    report.add([...path, second], `a second action beside "${first ?? ''}": keep one`);
  if (route.pool !== undefined) checkPoolName(route.pool, [...path, 'pool'], pools, report);
  if (route.split) checkSplit(route.split, [...path, 'split'], pools, report);
  if (route.respond) checkRespond(route.respond, [...path, 'respond'], report);
  if (route.redirect) {
    const objection = objectionTo(route.redirect.to);
    if (objection !== undefined) report.add([...path, 'redirect', 'to'], objection);
  }
  const edits = EDIT_KEYS.filter((key) => route[key] !== undefined);
  if (first === 'pool' || first === 'split') checkEdits(route, path, report);
  else if (first !== undefined) {
    for (const key of edits)
      report.add([...path, key], `only requests that go to a pool are edited, not with "${first}"`);
  }
}

function checkPoolName(name: string, path: Path, pools: Pools, report: ProblemReport): void {
  if (Object.hasOwn(pools, name)) return;
  // Ten thousand names against a thousand took two minutes.
  report.add(path, `there is no pool "${name}"${report.full ? '' : didYouMean(name, Object.keys(pools))}`);
}

function checkSplit(
  { pools: shares }: NonNullable<RouteInput['split']>,
  path: Path,
  pools: Pools,
  report: ProblemReport,
): void {
  for (const name of Object.keys(shares)) checkPoolName(name, [...path, 'pools', name], pools, report);
  if (Object.values(shares).every((weight) => weight === 0))
    report.add([...path, 'pools'], 'no pool has a share above 0');
}

function checkRespond(
  { status, headers = {}, body = '' }: NonNullable<RouteInput['respond']>,
  path: Path,
  report: ProblemReport,
): void {
  const names = new Set<string>();
  for (const name of Object.keys(headers)) {
    const key = name.toLowerCase();
    if (FRAMING.has(key) || key === 'date')
      report.add([...path, 'headers', name], 'is written by the front itself and cannot be set');
    takeName(names, name, [...path, 'headers', name], report);
  }
  if (BODILESS.has(status) && body !== '')
    report.add([...path, 'body'], `an answer with ${status} has no body`);
  if (Buffer.byteLength(body) > MAX_BODY_BYTES)
    report.add([...path, 'body'], `is longer than ${MAX_BODY_BYTES} bytes`);
}

function checkEdits(route: RouteInput, path: Path, report: ProblemReport): void {
  const { set_headers = {}, remove_headers = [], request_id, strip_prefix } = route;
  const names = new Set<string>();
  const check = (name: string, place: Path): void => {
    if (FRAMING.has(name.toLowerCase()))
      report.add(place, `"${name}" says where a request ends or goes, so it is not for edits`);
    takeName(names, name, place, report);
  };
  for (const name of Object.keys(set_headers)) check(name, [...path, 'set_headers', name]);
  remove_headers.forEach((name, index) => check(name, [...path, 'remove_headers', index]));
  if (request_id !== undefined) check(request_id, [...path, 'request_id']);

  const edits = editsOf(route);
  const added = edits ? addedBytes(edits) : 0;
  if (added > MOST_ADDED_BYTES)
    report.add([...path, 'set_headers'], `adds ${added} bytes to a head, more than ${MOST_ADDED_BYTES}`);
  if (strip_prefix !== undefined && normalisePath(strip_prefix).endsWith('/'))
    report.add([...path, 'strip_prefix'], 'ends with a slash: leave that out');
  else if (strip_prefix !== undefined && !isGuaranteed(normalisePath(strip_prefix), route.match))
    report.add(
      [...path, 'strip_prefix'],
      `not every path that the route matches begins with it: say so with "path_prefix: ${strip_prefix}"`,
    );
}

/** Whether a match takes no other path than those below the prefix. */
function isGuaranteed(prefix: string, match: RouteInput['match']): boolean {
  return [match?.path, match?.path_prefix].some(
    (paths) => paths !== undefined && [paths].flat().every((path) => isBelow(normalisePath(path), prefix)),
  );
}

function takeName(names: Set<string>, name: string, path: Path, report: ProblemReport): void {
  if (names.has(name.toLowerCase())) report.add(path, `"${name}" is already taken`);
  names.add(name.toLowerCase());
}
