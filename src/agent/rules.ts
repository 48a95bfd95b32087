import { createBalancer } from '../balance/create-balancer';
import type { Balancer, Candidate } from '../balance/balancer';
import { cookieOf, hashKey, type Hashable, type HashKey } from '../balance/hash-key';
import { flowFamily, makeFlow, vipKey, vipPort } from '../kernel/flow';
import type { Asker } from '../peek/head';
import { Http1Peek } from '../peek/http1';
import type { Forward } from '../relay/destination';
import { Routes } from '../relay/routes';
import type { RoutingTable, TableListener, TablePool } from '../wire/routing-table';

export type Routing = TableListener['routing'];

/** What is known of a listener of the front. */
export interface RulesListener {
  readonly name?: string;
  /** How it treats later requests. */
  readonly routing: Routing;
}

const GONE: RulesListener = { routing: 'per-request' };

/** The request that a server was last given of a connection, as far as that decides about the next one. */
export interface Served {
  readonly pool: string;
  readonly key: string;
}

class Origin implements Candidate {
  readonly available = true;
  readonly load = 0;

  constructor(
    readonly name: string,
    readonly weight: number,
    /** Absent where nothing can be relayed to it. */
    readonly origin: string | undefined,
  ) {}
}

/** A pool of a front, as an agent sees it. */
export class RulesPool {
  readonly name: string;
  readonly here: boolean;
  /** Of requests without a key: one for all, because nearly all requests are of this kind. */
  readonly served: Served;
  /** What requests of one client may differ in that decides about the backend; undefined where nothing does. */
  readonly #hash: HashKey | undefined;
  readonly #sticky: string | undefined;
  readonly #all: readonly Origin[];
  /** Those that requests can be relayed to. */
  readonly #origins: readonly Origin[];
  /** On first use: a table of maglev takes memory and milliseconds. */
  #everyone: Balancer<Origin> | undefined;
  #relays: Balancer<Origin> | undefined;

  constructor(
    { name, here, hash, sticky, fallback, backends }: TablePool,
    private readonly self: string,
  ) {
    this.name = name;
    this.here = here;
    this.served = { pool: name, key: '' };
    this.#hash = hash === undefined ? undefined : hashKey(hash);
    this.#sticky = sticky;
    this.#all = backends.map(({ name, weight, origin }) => new Origin(name, weight, origin));
    this.#origins = fallback === 'refuse' ? [] : this.#all.filter(({ origin }) => origin !== undefined);
  }

  /** What its balancer goes by for a request; '' where it does not matter. */
  keyOf(head: Hashable, asker: Asker): string {
    return this.#hash?.(head, asker) ?? '';
  }

  /** The backend that a request's session is with, if it says so; undefined where it says none of this pool. */
  sessionOf(head: Hashable): string | undefined {
    if (this.#sticky === undefined) return undefined;
    const name = cookieOf(head.header('cookie') ?? '', this.#sticky);
    return this.#all.some((each) => each.name === name && each.weight > 0) ? name : undefined;
  }

  /** Whether requests with this key are this agent's, as long as all backends are there. */
  prefersSelf(key: string): boolean {
    if (this.#hash === undefined) return true;
    return (this.#everyone ??= createBalancer('maglev', this.#all)).pick(key, [])?.name === this.self;
  }

  /** Where a request is relayed to; undefined where there is no such place. */
  relayTo(key: string, session: string | undefined): Forward | undefined {
    const another = (tried: readonly string[]): string | undefined => {
      const left = this.#origins.filter(({ origin }) => !tried.includes(origin as string));
      const preferred = left.find(({ name }) => name === session);
      if (preferred !== undefined) return preferred.origin;
      this.#relays ??= createBalancer(this.#hash ? 'maglev' : 'round-robin', this.#origins);
      const asked = this.#origins.filter((each) => !left.includes(each));
      return this.#relays.pick(key, asked)?.origin;
    };
    const origin = another([]);
    return origin === undefined ? undefined : { origin, another };
  }
}

/** What later requests are judged by: a routing table, put together. Throws an Error for one that is none. */
export class Rules {
  readonly self: string;
  readonly routes: Routes<RulesPool>;
  /** Shared by all connections: what it has read is judged before it reads again. */
  readonly reader: Http1Peek;
  readonly headBytes: number;
  readonly #listeners = new Map<string, RulesListener>();

  constructor({ self, head_bytes, listeners, pools, routes }: RoutingTable) {
    this.self = self;
    const byName = new Map(pools.map((pool) => [pool.name, new RulesPool(pool, self)]));
    // Where chance decides and this agent is among those that may get the request, it is as good as any other.
    this.routes = new Routes(routes, byName, (shares) => shares.find(({ here }) => here));
    this.headBytes = head_bytes;
    this.reader = new Http1Peek(head_bytes);
    for (const { name, address, port, routing } of listeners)
      this.#listeners.set(vipKey(makeFlow(address, 0, address, port)), { name, routing });
  }

  /** The listener of a flow. One that is gone has judged requests; which one it was nobody knows. */
  listenerOf(flow: Buffer): RulesListener {
    const exact = this.#listeners.get(vipKey(flow));
    if (exact !== undefined) return exact;
    const any = flowFamily(flow) === 4 ? '0.0.0.0' : '::';
    return this.#listeners.get(vipKey(makeFlow(any, 0, any, vipPort(flow)))) ?? GONE;
  }
}
