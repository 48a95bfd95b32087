/** Which connections of a pool have to move for the distribution of its policy to hold again. */
import { createBalancer } from '../balance/create-balancer';
import { hashKey } from '../balance/hash-key';
import type { PoolConfig } from '../config/model';
import type { WatchedBackend } from './watched-backend';

export interface Plan {
  /** Connections that are still to move, at most. */
  readonly left: number;
  /** Where the connection of a flow, of this backend, should go; undefined where it should stay. */
  destinationFor(backend: string, flow: Buffer): string | undefined;
}

/** The plan for a pool and those of its backends that take connections; or why there is none. */
export function planFor(
  pool: Pick<PoolConfig, 'balance' | 'hash' | 'sticky'>,
  backends: readonly WatchedBackend[],
  connectionsOf: (backend: WatchedBackend) => number,
): Plan | string {
  const { balance, hash = 'client', sticky } = pool;
  if (sticky !== undefined) return 'its sessions are sticky: where they belong their requests say';
  const shares = backends.map((backend) => ({
    name: backend.name,
    weight: backend.config.weight,
    connections: connectionsOf(backend),
  }));
  if (balance !== 'maglev') return new Rebalancing(shares);
  if (hash !== 'client') return `it goes by ${hash}, so each request finds its backend by itself`;
  const candidates = shares.map(({ name, weight }) => ({ name, weight, available: true, load: 0 }));
  const balancer = createBalancer('maglev', candidates);
  const keyOf = hashKey('client');
  return {
    left: shares.reduce((sum, { connections }) => sum + connections, 0),
    destinationFor: (backend, client) => {
      const name = balancer.pick(keyOf({ path: '', header: () => undefined }, { client }), [])?.name;
      return name === backend ? undefined : name;
    },
  };
}

export interface Share {
  readonly name: string;
  readonly weight: number;
  /** Connections that it has. */
  readonly connections: number;
}

/**
 * What each backend should have: its part of all by weight, in whole connections. Where parts are left over, those that are
 * there stay: no connection moves for a fraction.
 */
export function fairShares(shares: readonly Share[]): ReadonlyMap<string, number> {
  const total = shares.reduce((sum, { connections }) => sum + connections, 0);
  const weights = shares.reduce((sum, { weight }) => sum + weight, 0);
  if (weights === 0) return new Map(shares.map(({ name, connections }) => [name, connections]));
  const exact = shares.map(({ name, weight, connections }) => {
    const part = (total * weight) / weights;
    return { name, connections, whole: Math.floor(part), rest: part - Math.floor(part) };
  });
  let left = total - exact.reduce((sum, { whole }) => sum + whole, 0);
  const byNeed = [...exact].sort(
    (a, b) => Number(b.connections > b.whole) - Number(a.connections > a.whole) || b.rest - a.rest,
  );
  const fair = new Map(exact.map(({ name, whole }) => [name, whole]));
  for (const { name, whole, rest } of byNeed) {
    if (left === 0) break;
    if (rest === 0) continue;
    fair.set(name, whole + 1);
    left -= 1;
  }
  return fair;
}

/** The connections that a pool's backends have too many of, given out to those that have too few. */
export class Rebalancing implements Plan {
  readonly #surplus = new Map<string, number>();
  readonly #deficits: { readonly name: string; left: number }[] = [];

  constructor(shares: readonly Share[]) {
    const fair = fairShares(shares);
    for (const { name, connections } of shares) {
      const difference = connections - (fair.get(name) ?? 0);
      if (difference > 0) this.#surplus.set(name, difference);
      if (difference < 0) this.#deficits.push({ name, left: -difference });
    }
  }

  /** Connections that are still to move. */
  get left(): number {
    return this.#deficits.reduce((sum, { left }) => sum + left, 0);
  }

  /** Where a connection of this backend should go; undefined where it should stay. */
  destinationFor(backend: string): string | undefined {
    const surplus = this.#surplus.get(backend) ?? 0;
    // Round and round, so that none of them gets all at first.
    const next = this.#deficits.shift();
    if (next === undefined) return undefined;
    if (surplus === 0) {
      this.#deficits.unshift(next);
      return undefined;
    }
    this.#surplus.set(backend, surplus - 1);
    next.left -= 1;
    if (next.left > 0) this.#deficits.push(next);
    return next.name;
  }
}
