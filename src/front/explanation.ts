/** Where a request would go, and why: for people who ask (`/v1/explain`, `baton explain`). */
import { hashKey } from '../balance/hash-key';
import { Maglev } from '../balance/maglev';
import { WeightedSplit } from '../balance/weighted-split';
import type { BackendConfig, FrontConfig, ListenerConfig, PoolConfig, RouteConfig } from '../config/model';
import type { Asker, RoutableHead } from '../peek/head';
import { changesTo } from '../route/head-edits';
import { normalisePath } from '../route/path';
import { Router } from '../route/router';
import { answeringOf } from '../relay/answering';
import { readConnection, readQuestion, type Question } from './asked-request';

/** Routes that an explanation lists: the last ones before the one that matches, and some behind. */
const ROUTES_BEFORE = 100;
const ROUTES_BEHIND = 10;

/** What becomes of a backend in a pick. */
export interface Standpoint {
  readonly candidate: boolean;
  readonly why: string;
}

export type StandpointOf = (pool: PoolConfig, backend: BackendConfig) => Standpoint;

export interface ExplainedRoute {
  /** Its place among the routes, from 0 on. */
  readonly route: number;
  readonly verdict: 'matches' | 'does not match' | 'not reached';
  readonly why: string;
}

export interface ExplainedPool {
  readonly pool: string;
  readonly balance: string;
  /** The backend that a hash leads to, where the pool hashes. */
  readonly hashed?: string;
  readonly backends: readonly ({ readonly name: string } & Standpoint)[];
}

export interface Explanation {
  readonly request: Question;
  /** Of the listener. With `tcp` only its name and the client matter. */
  readonly protocol: ListenerConfig['protocol'];
  /** As routes compare it. */
  readonly path?: string;
  /** The request is refused before it is routed. */
  readonly refused?: { readonly status: number; readonly reason: string };
  /** Of the route that matches; null where none does. */
  readonly route: number | null;
  /** What becomes of the request, in a line. */
  readonly outcome: string;
  /** More than one, where chance decides. */
  readonly pools: readonly ExplainedPool[];
  /** What is changed of the head: an id that is made for each request is shown as `(new)`. */
  readonly edits?: {
    readonly path?: string;
    readonly set: Readonly<Record<string, string>>;
    readonly removed: readonly string[];
  };
  readonly routes: readonly ExplainedRoute[];
  /** Routes that are not listed. */
  readonly omitted: number;
}

/** Explains requests by a configuration. */
export class Explainer {
  #router: Router<RouteConfig> | undefined;

  constructor(private readonly config: FrontConfig) {}

  /** Throws a RangeError for a question that is none. */
  explain(question: Question, standpointOf: StandpointOf): Explanation {
    const { name, protocol } = this.#listenerOf(question);
    const request = { ...question, listener: name };
    const headless = protocol === 'tcp';
    const read = headless ? readConnection(request) : readQuestion(request, this.config.limits.head_bytes);
    const nowhere = { request, protocol, route: null, pools: [], routes: [], omitted: 0 };
    if ('refused' in read) {
      const { status, reason } = read.refused;
      return { ...nowhere, ...read, outcome: `refused with ${status}: ${reason}` };
    }
    const { head, asker } = read;
    // Made when it is first needed: a front may never be asked.
    this.#router ??= new Router(this.config.routes);
    const verdicts = this.#router.explain(head, asker);
    const path = normalisePath(head.path);
    const found = verdicts.findIndex(({ matched, reached }) => matched && reached);
    const from = Math.max(0, (found < 0 ? verdicts.length : found) - ROUTES_BEFORE);
    const listed = verdicts.slice(from, found < 0 ? undefined : found + 1 + ROUTES_BEHIND);
    const routes = listed.map(({ number, matched, reached, failed = 'all of its match holds' }) => ({
      route: number,
      verdict:
        matched && reached
          ? ('matches' as const)
          : reached
            ? ('does not match' as const)
            : ('not reached' as const),
      why: failed,
    }));
    const common = {
      ...nowhere,
      ...(!headless && { path }),
      routes,
      omitted: verdicts.length - routes.length,
    };
    const route = this.config.routes[found];
    if (route === undefined)
      return { ...common, outcome: `${headless ? 'reset' : 'refused with 404'}: no route matches` };
    if (headless && answeringOf(route) !== undefined)
      return { ...common, route: found, outcome: 'reset: the route leads to no pool' };
    return { ...common, route: found, ...this.#fateOf(route, head, asker, standpointOf) };
  }

  /** The one that is asked about; the first one that has heads, if any has, where none is named. */
  #listenerOf({ listener: wanted }: Question): ListenerConfig {
    const { listeners } = this.config;
    const usual = listeners.find(({ protocol }) => protocol === 'http') ?? listeners[0];
    const found = wanted === '' ? usual : listeners.find(({ name }) => name === wanted);
    if (found === undefined) throw new RangeError(`there is no listener ${JSON.stringify(wanted)}`);
    return found;
  }

  /** What the route that matches does. */
  #fateOf(
    route: RouteConfig,
    head: RoutableHead,
    asker: Asker,
    standpointOf: StandpointOf,
  ): Pick<Explanation, 'outcome' | 'pools' | 'edits'> {
    const answering = answeringOf(route);
    if (answering !== undefined) {
      const { status, fields } = answering.answerTo(head);
      const to = fields[0] === 'Location' ? ` to ${fields[1] ?? ''}` : '';
      return { outcome: `${answering.action}: the front answers with ${status}${to}`, pools: [] };
    }
    const { edits } = route;
    const pools = this.#poolsOf(route, head, asker);
    const explained = pools.map((pool) => explainPool(pool, head, asker, standpointOf));
    const names = pools.map(({ name }) => name).join(' or ');
    const by =
      route.split === undefined
        ? ''
        : route.split.by === undefined
          ? ', by chance'
          : `, by ${route.split.by}`;
    return {
      outcome: `goes to pool ${names}${by}`,
      pools: explained,
      ...(edits && {
        edits: explainEdits(
          head,
          changesTo(head, edits, () => '(new)'),
        ),
      }),
    };
  }

  #poolsOf({ pool, split }: RouteConfig, head: RoutableHead, asker: Asker): PoolConfig[] {
    const shares = split?.pools.filter(({ weight }) => weight > 0) ?? [{ name: pool ?? '', weight: 1 }];
    const chosen =
      split?.by === undefined ? shares : [new WeightedSplit(shares).of(hashKey(split.by)(head, asker))];
    return this.config.pools.filter(({ name }) => chosen.some((each) => each.name === name));
  }
}

function explainPool(
  pool: PoolConfig,
  head: RoutableHead,
  asker: Asker,
  standpointOf: StandpointOf,
): ExplainedPool {
  const { name, balance, hash = 'client' } = pool;
  const backends = pool.backends.map((backend) => ({ name: backend.name, ...standpointOf(pool, backend) }));
  const explained = { pool: name, balance, backends };
  if (balance !== 'maglev') return explained;
  const candidates = pool.backends.map((backend, index) => ({
    name: backend.name,
    weight: backend.weight,
    available: backends[index]?.candidate === true,
    load: 0,
  }));
  const hashed = new Maglev(candidates).pick(hashKey(hash)(head, asker), []);
  return { ...explained, balance: `${balance} by ${hash}`, ...(hashed && { hashed: hashed.name }) };
}

function explainEdits(
  head: RoutableHead,
  changes: ReturnType<typeof changesTo>,
): NonNullable<Explanation['edits']> {
  const set = new Set(changes.set.map(([name]) => name.toLowerCase()));
  const removed = changes.without.filter((name) => !set.has(name) && head.header(name) !== undefined);
  const { path } = changes;
  return { ...(path !== undefined && { path }), set: Object.fromEntries(changes.set), removed };
}
