import type { Balancer, Candidate } from '../balance/balancer';
import { createBalancer } from '../balance/create-balancer';
import { cookieOf, hashKey, type HashKey } from '../balance/hash-key';
import { Sticky, stickyKey } from '../balance/sticky';
import type { PoolConfig } from '../config/model';
import { DurationHistogram } from '../observe/duration-histogram';
import { ProxyTarget, type Backend } from './backend';

/** Whether it matters in a pool how many connections a backend has. */
export function goesByLoad({ balance, backends }: PoolConfig, backend: string): boolean {
  const found = backends.find(({ name }) => name === backend);
  if (found === undefined) return false;
  return balance === 'least-connections' || balance === 'random-two' || found.max_connections !== undefined;
}

function balancerOf<B extends Candidate>(
  { balance, sticky }: PoolConfig,
  candidates: readonly B[],
): Balancer<B> {
  const policy = createBalancer(balance, candidates);
  return sticky === undefined ? policy : new Sticky(candidates, policy);
}

function keyOf({ balance, hash = 'client', sticky }: PoolConfig): HashKey {
  const policy: HashKey = balance === 'maglev' ? hashKey(hash) : () => '';
  if (sticky === undefined) return policy;
  return (head, asker) => stickyKey(cookieOf(head.header('cookie') ?? '', sticky), policy(head, asker));
}

/** A pool, as an accepting thread sees it: its backends, and a balancer each for handoffs and for the fallback. */
export class Pool {
  readonly name: string;
  readonly fallback: PoolConfig['fallback'];
  /** For handoffs, by the family of the flow: a discovered backend may have a next hop of one alone. */
  readonly #balancers: { readonly 4: Balancer<Backend>; readonly 6: Balancer<Backend> };
  /** What its balancers pick by. */
  readonly keyOf: HashKey;
  readonly handoffDuration = new DurationHistogram();
  readonly #targets: readonly ProxyTarget[];
  readonly #relays: Balancer<ProxyTarget>;

  constructor(
    config: PoolConfig,
    readonly backends: readonly Backend[],
  ) {
    this.name = config.name;
    this.fallback = config.fallback;
    this.keyOf = keyOf(config);
    this.#balancers = balancersOf(config, backends);
    this.#targets = backends.flatMap((backend) =>
      backend.http === undefined || this.fallback === 'refuse'
        ? []
        : [new ProxyTarget(backend, backend.http)],
    );
    this.#relays = balancerOf(config, this.#targets);
  }

  /** Picks a backend for a handoff of a flow of this family; undefined where none takes it. */
  pick(family: 4 | 6, key: string, tried: readonly Backend[]): Backend | undefined {
    return this.#balancers[family].pick(key, tried);
  }

  /** Whether a backend's agent is there and takes no offers only because too many are unanswered. */
  get saturated(): boolean {
    return this.backends.some(({ takes, offers }) => takes && offers.saturated);
  }

  /** Whether backends would take connections if they had not as many as they may, and no other does. */
  get full(): boolean {
    const taking = this.backends.filter(({ takes, weight }) => takes && weight > 0);
    return taking.length > 0 && taking.every(({ full }) => full);
  }

  /**
   * Where the fallback relays a request to: an origin such as `http://198.18.0.21:8080`, none of those that were `tried`.
   * One whose agent answers is there. Of the others the host may be gone, and a pool may have no health checks.
   */
  pickOrigin(key: string, tried: readonly string[]): string | undefined {
    const asked = this.#targets.filter(({ origin }) => tried.includes(origin));
    const silent = this.#targets.filter(({ answers }) => !answers);
    return (this.#relays.pick(key, [...asked, ...silent]) ?? this.#relays.pick(key, asked))?.origin;
  }

  /** Whether every agent that may get a connection now judges its later requests. */
  get judges(): boolean {
    return this.backends.every(({ available, offers }) => offers.judges || !available);
  }

  /** Whether the fallback could relay a request now. */
  get proxies(): boolean {
    return (
      this.fallback === 'proxy' && this.#targets.some(({ available, weight }) => available && weight > 0)
    );
  }
}

/** The two are one where that makes no difference: each would begin with the same backend. */
function balancersOf(
  config: PoolConfig,
  backends: readonly Backend[],
): { readonly 4: Balancer<Backend>; readonly 6: Balancer<Backend> } {
  const reached = (family: 4 | 6): Backend[] => backends.filter(({ hops }) => hops[family] !== undefined);
  const [four, six] = [reached(4), reached(6)];
  const balancer = balancerOf(config, four);
  const same = backends.every(({ hops }) => (hops[4] === undefined) === (hops[6] === undefined));
  return { 4: balancer, 6: same ? balancer : balancerOf(config, six) };
}
