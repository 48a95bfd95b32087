import { checkAction } from './action-rules';
import { formatEndpoint, parseEndpoint } from './addresses';
import { checkAdmin } from './admin';
import { checkControl } from './control';
import { checkDiscovery } from './discovery';
import { parseDuration } from './durations';
import { MatchChecks } from './match';
import type { Path, ProblemReport } from './problems';
import { checkReach } from './reach';
import type { FrontInput } from './schema';
import { checkVias, listenersByFamily } from './vias';

type Pools = FrontInput['pools'];
type PoolInput = Pools[string];
type BackendInput = Extract<PoolInput['backends'], readonly unknown[]>[number];
type HealthInput = NonNullable<PoolInput['health']>;
type OutlierInput = NonNullable<PoolInput['outliers']>;

/** Header fields of a health check that say how it is sent, and so are not for an operator to say. */
const OWN_FIELDS = new Set([
  'connection',
  'content-length',
  'expect',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** How often agents report their responses. */
const REPORT_MS = 1000;

/** What must hold between the parts of a front's configuration, once each part is well-formed by itself. */
export function checkFront(input: FrontInput, directory: string, report: ProblemReport): void {
  checkControl(input.control, report);
  checkAdmin(input.admin, directory, report);
  checkListeners(input.listeners, report);
  checkRoutes(input, report);
  checkReach(input, report);
  for (const [name, pool] of Object.entries(input.pools)) checkPool(name, pool, input.listeners, report);
  checkNextHops(input, report);
  checkIdentities(input.pools, report);
}

function checkListeners(listeners: FrontInput['listeners'], report: ProblemReport): void {
  const names = new Set<string>();
  const binds = new Set<string>();
  listeners.forEach(({ name, bind, limits }, index) => {
    if (limits?.client_burst !== undefined && limits.client_rate === undefined) {
      report.add(['listeners', index, 'limits', 'client_burst'], 'needs client_rate, whose burst it is');
    }
    unique(names, name, ['listeners', index, 'name'], report);
    unique(binds, canonical(bind), ['listeners', index, 'bind'], report);
  });
}

function checkRoutes({ listeners, routes, pools }: FrontInput, report: ProblemReport): void {
  const matches = new MatchChecks(
    listeners.map(({ name }) => name),
    report,
  );
  const names = new Set<string>();
  let catchAll: number | undefined;
  routes.forEach((route, index) => {
    const { match = {} } = route;
    if (route.name !== undefined) unique(names, route.name, ['routes', index, 'name'], report);
    checkAction(route, ['routes', index], pools, report);
    matches.check(match, ['routes', index, 'match']);
    if (catchAll !== undefined) {
      report.add(['routes', index], `is never reached: routes[${catchAll}] takes everything`);
    } else if (Object.keys(match).length === 0) {
      catchAll = index;
    }
  });
}

function checkPool(
  name: string,
  pool: PoolInput,
  listeners: FrontInput['listeners'],
  report: ProblemReport,
): void {
  if (pool.hash !== undefined && pool.balance !== 'maglev') {
    report.add(['pools', name, 'hash'], `only balance maglev hashes, not ${pool.balance}`);
  }
  if (pool.health !== undefined) checkHealth(pool.health, ['pools', name, 'health'], report);
  if (pool.outliers !== undefined) checkOutliers(pool.outliers, ['pools', name, 'outliers'], report);
  const needsHttp = pool.health ? 'health' : pool.fallback === 'proxy' ? 'fallback: proxy' : undefined;
  const names = new Set<string>();
  checkDiscovery(['pools', name, 'backends'], pool, listeners, needsHttp, report);
  listed(pool).forEach((backend, index) => {
    const path = ['pools', name, 'backends', index];
    unique(names, backend.name, [...path, 'name'], report);
    if (pool.balance === 'maglev' && backend.slow_start !== undefined) {
      report.add([...path, 'slow_start'], 'balance maglev has no slow start: it would move keys for a while');
    }
    if (needsHttp && backend.http === undefined)
      report.add(path, `key "http" is missing: ${needsHttp} needs it`);
  });
}

function checkHealth({ headers = {}, tls }: HealthInput, path: Path, report: ProblemReport): void {
  const names = new Set<string>();
  for (const header of Object.keys(headers)) {
    const name = header.toLowerCase();
    unique(names, name, [...path, 'headers', header], report);
    if (OWN_FIELDS.has(name)) report.add([...path, 'headers', header], 'is for the check itself to send');
  }
  if (tls?.insecure && tls.ca !== undefined) {
    report.add([...path, 'tls'], 'has both "insecure" and "ca": keep one');
  }
}

function checkOutliers({ window, eject, max_eject }: OutlierInput, path: Path, report: ProblemReport): void {
  if ((parseDuration(window) ?? 0) < REPORT_MS) {
    report.add([...path, 'window'], `${window} is shorter than 1s, after which agents report again`);
  }
  if ((parseDuration(max_eject) ?? 0) < (parseDuration(eject) ?? 0)) {
    report.add([...path, 'max_eject'], `${max_eject} is shorter than eject, which is ${eject}`);
  }
}

function checkNextHops({ listeners, pools }: FrontInput, report: ProblemReport): void {
  const byFamily = listenersByFamily(listeners);
  forEachBackend(pools, ({ via }, path) => checkVias([via].flat(), byFamily, [...path, 'via'], report));
}

/** A backend's name is its label in metrics and its agent's identity, so the two belong together in every pool. */
function checkIdentities(pools: Pools, report: ProblemReport): void {
  const agentOf = new Map<string, string>();
  const nameOf = new Map<string, string>();
  forEachBackend(pools, ({ name, agent: written }, path) => {
    const agent = canonical(written);
    const otherAgent = agentOf.get(name) ?? agent;
    const otherName = nameOf.get(agent) ?? name;
    if (otherAgent !== agent) {
      report.add([...path, 'agent'], `backend "${name}" has the agent ${otherAgent} elsewhere`);
    } else if (otherName !== name) {
      report.add([...path, 'agent'], `the agent ${agent} is the backend "${otherName}" elsewhere`);
    }
    agentOf.set(name, otherAgent);
    nameOf.set(agent, otherName);
  });
}

function forEachBackend(pools: Pools, visit: (backend: BackendInput, path: Path) => void): void {
  for (const [name, pool] of Object.entries(pools)) {
    listed(pool).forEach((backend, index) => visit(backend, ['pools', name, 'backends', index]));
  }
}

/** The backends that a pool lists; none where they are discovered. */
function listed({ backends }: PoolInput): readonly BackendInput[] {
  return Array.isArray(backends) ? backends : [];
}

function unique(seen: Set<string>, value: string, path: Path, report: ProblemReport): void {
  if (seen.has(value)) report.add(path, `"${value}" is already taken`);
  seen.add(value);
}

/** One spelling per endpoint: IPv6 has many. */
function canonical(text: string): string {
  const endpoint = parseEndpoint(text);
  return endpoint ? formatEndpoint(endpoint) : text;
}
