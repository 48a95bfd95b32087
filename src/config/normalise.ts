import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { normaliseAccessLog } from './access-log';
import { normaliseAction } from './action';
import { parseAddress, parseEndpoint, parseVip } from './addresses';
import { normaliseAdmin } from './admin';
import { normaliseControl } from './control';
import { parseDuration } from './durations';
import { normaliseMatch } from './match';
import type {
  AgentConfig,
  BackendConfig,
  Credentials,
  FrontConfig,
  HealthConfig,
  PoolConfig,
  RouteConfig,
  ServeConfig,
} from './model';
import { MAX_WORKERS } from './schema';
import type { AgentInput, FrontInput } from './schema';

type RouteInput = FrontInput['routes'][number];
type PoolInput = FrontInput['pools'][string];
type BackendInput = PoolInput['backends'][number];
type HealthInput = NonNullable<PoolInput['health']>;

/** A front's configuration that passed every check -> what the programs work with. */
export function normaliseFront(input: FrontInput, directory: string, pem?: Credentials): FrontConfig {
  const { head, prepare, backend_gone, idle_flow, linger } = input.timeouts;
  return {
    kind: 'front',
    node: input.node,
    listeners: input.listeners.map((listener) => ({ ...listener, bind: endpoint(listener.bind) })),
    routes: input.routes.map(normaliseRoute),
    pools: Object.entries(input.pools).map(([name, pool]) => normalisePool(name, pool)),
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
  { health, fallback = 'proxy', backends, ...rest }: PoolInput,
): PoolConfig {
  return {
    ...rest,
    name,
    fallback,
    ...(health && { health: normaliseHealth(health) }),
    backends: backends.map(normaliseBackend),
  };
}

function normaliseHealth(health: HealthInput): HealthConfig {
  return { ...health, interval: duration(health.interval), timeout: duration(health.timeout) };
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
  { upstream, app, listen }: NonNullable<AgentInput['serve']>,
  directory: string,
): ServeConfig {
  if (upstream !== undefined) return { kind: 'upstream', upstream: new URL(upstream).origin };
  return {
    kind: 'app',
    app: resolve(directory, valid(app)),
    ...(listen !== undefined && { listen: endpoint(listen) }),
  };
}

const endpoint = (text: string) => valid(parseEndpoint(text));
const address = (text: string) => valid(parseAddress(text));
const vip = (text: string) => valid(parseVip(text));
const duration = (text: string) => valid(parseDuration(text));

/** The schema has checked every text with the same parsers, so a failure here is a bug and no operator's mistake. */
function valid<T>(parsed: T | undefined): T {
  if (parsed === undefined) throw new Error('normalise: the configuration has not been checked');
  return parsed;
}
