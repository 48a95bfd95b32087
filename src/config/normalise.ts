import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { normaliseAccessLog } from './access-log';
import { normaliseAction } from './action';
import { parseAddress, parseEndpoint, parseVip } from './addresses';
import { normaliseAdmin } from './admin';
import { normaliseControl } from './control';
import { normaliseDiscovery } from './discovery';
import { parseDuration } from './durations';
import { normaliseMatch } from './match';
import type {
  AgentConfig,
  BackendConfig,
  Credentials,
  FrontConfig,
  HealthConfig,
  HttpServeConfig,
  OutlierConfig,
  PoolConfig,
  RouteConfig,
  ServeConfig,
} from './model';
import { MAX_WORKERS } from './schema';
import { parseStatuses } from './statuses';
import type { AgentInput, FrontInput } from './schema';

type RouteInput = FrontInput['routes'][number];
type PoolInput = FrontInput['pools'][string];
type BackendInput = Extract<PoolInput['backends'], readonly unknown[]>[number];
type HealthInput = NonNullable<PoolInput['health']>;
type OutlierInput = NonNullable<PoolInput['outliers']>;

/**
 * A front's configuration that passed every check -> what the programs work with.
 * @param authorities of the health checks, as PEM texts by pool.
 */
export function normaliseFront(
  input: FrontInput,
  directory: string,
  pem: Credentials | undefined,
  authorities: ReadonlyMap<string, string>,
): FrontConfig {
  const { head, prepare, backend_gone, idle_flow, linger } = input.timeouts;
  return {
    kind: 'front',
    node: input.node,
    listeners: input.listeners.map((listener) => ({ ...listener, bind: endpoint(listener.bind) })),
    routes: input.routes.map(normaliseRoute),
    pools: Object.entries(input.pools).map(([name, pool]) =>
      normalisePool(name, pool, authorities.get(name)),
    ),
    steering: { ...input.steering, pin: resolve(directory, input.steering.pin) },
    control: normaliseControl(input.control, directory, pem),
    admin: normaliseAdmin(input.admin, directory),
    timeouts: {
      head: duration(head),
      prepare: duration(prepare),
      backend_gone: duration(backend_gone),
      idle_flow: duration(idle_flow),
      linger: duration(linger),
    },
    limits: input.limits,
    workers: input.workers === 'auto' ? Math.min(availableParallelism(), MAX_WORKERS) : input.workers,
  };
}

/** An agent's configuration that passed every check -> what the programs work with. */
export function normaliseAgent(input: AgentInput, directory: string, pem?: Credentials): AgentConfig {
  return {
    kind: 'agent',
    node: input.node,
    control: { ...normaliseControl(input.control, directory, pem), listen: endpoint(input.control.listen) },
    vips: input.vips.map(vip),
    manage_vips: input.manage_vips,
    ...(input.sticky_cookie !== undefined && { sticky_cookie: input.sticky_cookie }),
    ...(input.serve && { serve: normaliseServe(input.serve, directory) }),
    ...(input.access_log && { access_log: normaliseAccessLog(input.access_log, directory) }),
    ...(input.admin && { admin: normaliseAdmin(input.admin, directory) }),
  };
}

/** An empty match is no match: both take everything. */
function normaliseRoute({ name, match, ...action }: RouteInput): RouteConfig {
  const normal = { ...(name !== undefined && { name }), ...normaliseAction(action) };
  return match && Object.keys(match).length > 0 ? { match: normaliseMatch(match), ...normal } : normal;
}

function normalisePool(
  name: string,
  { health, outliers, sticky, fallback = 'proxy', backends, ...rest }: PoolInput,
  authorities: string | undefined,
): PoolConfig {
  return {
    ...rest,
    name,
    fallback,
    ...(health && { health: normaliseHealth(health, authorities) }),
    ...(sticky !== undefined && { sticky: sticky.slice('cookie:'.length) }),
    ...(outliers && { outliers: normaliseOutliers(outliers) }),
    ...(Array.isArray(backends)
      ? { backends: backends.map(normaliseBackend) }
      : { backends: [], discovery: normaliseDiscovery(backends) }),
  };
}

function normaliseHealth(
  { expect, headers = {}, tls, interval, timeout, ...rest }: HealthInput,
  authorities: string | undefined,
): HealthConfig {
  return {
    ...rest,
    expect: [expect].flat().map((text) => valid(parseStatuses(String(text)))),
    headers: lowerCaseKeys(headers),
    interval: duration(interval),
    timeout: duration(timeout),
    ...(tls && { tls: normaliseHealthTls(tls, authorities) }),
  };
}

function normaliseHealthTls(
  { ca, server_name, insecure }: NonNullable<HealthInput['tls']>,
  authorities: string | undefined,
): NonNullable<HealthConfig['tls']> {
  return {
    // Without this a mistake in the order of the stages would trust others than those that are named.
    ...(ca !== undefined && { ca: valid(authorities) }),
    ...(server_name !== undefined && { server_name }),
    insecure: insecure === true,
  };
}

function normaliseOutliers({ window, latency, eject, max_eject, ...rest }: OutlierInput): OutlierConfig {
  return {
    ...rest,
    window: duration(window),
    ...(latency !== undefined && { latency: duration(latency) }),
    eject: duration(eject),
    max_eject: duration(max_eject),
  };
}

function normaliseBackend({ agent, via, http, slow_start, ...rest }: BackendInput): BackendConfig {
  return {
    ...rest,
    agent: endpoint(agent),
    via: [via].flat().map(address),
    ...(http !== undefined && { http: endpoint(http) }),
    ...(slow_start !== undefined && { slow_start: duration(slow_start) }),
  };
}

function normaliseServe(
  { upstream, app, listen, tcp }: NonNullable<AgentInput['serve']>,
  directory: string,
): ServeConfig {
  let http: HttpServeConfig | undefined;
  if (upstream !== undefined) http = { kind: 'upstream', upstream: new URL(upstream).origin };
  else if (app !== undefined)
    http = {
      kind: 'app',
      app: resolve(directory, app),
      ...(listen !== undefined && { listen: endpoint(listen) }),
    };
  return { ...(http && { http }), ...(tcp !== undefined && { tcp: resolve(directory, tcp) }) };
}

const endpoint = (text: string) => valid(parseEndpoint(text));
const address = (text: string) => valid(parseAddress(text));
const vip = (text: string) => valid(parseVip(text));
const duration = (text: string) => valid(parseDuration(text));

function lowerCaseKeys(record: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key.toLowerCase(), value]));
}

/** The schema has checked every text with the same parsers, so a failure here is a bug and no operator's mistake. */
function valid<T>(parsed: T | undefined): T {
  if (parsed === undefined) throw new Error('normalise: the configuration has not been checked');
  return parsed;
}
