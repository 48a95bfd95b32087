import type { BackendConfig, PoolConfig } from '../config/model';
import { HealthChecker } from '../health/checker';
import type { NextHop } from '../steer/flow-table';
import type { Link } from '../wire/link';
import type { BackendFacts } from './messages';

/** A backend of a pool with what watches it, for the front's main thread. */
export class WatchedBackend {
  readonly hops: BackendFacts['hops'];
  /** Undefined where the pool has no health checks. */
  readonly checker: HealthChecker | undefined;
  /** What the checks say; before their first result what was known of the backend, or that it is down. */
  healthy: boolean;
  /** Resolves with the first result. */
  readonly decided: Promise<void>;

  /** `onChange` is called for every change of health and for the first result. */
  constructor(
    readonly pool: PoolConfig,
    readonly config: BackendConfig,
    /** Its number in the flow table. */
    readonly number: number,
    /** The keeper's channel to its agent. */
    readonly link: Link,
    /** The next hop at one of its `via` addresses. */
    nextHop: (via: string) => NextHop,
    onChange: (backend: WatchedBackend, cause: string) => void,
  ) {
    this.hops = config.via.map(({ host, family }) => ({ family, ...nextHop(host) }));
    const { health } = pool;
    const { http } = config;
    if (health === undefined || http === undefined) {
      this.checker = undefined;
      this.healthy = true;
      this.decided = Promise.resolve();
      return;
    }
    this.healthy = false;
    let decide: () => void = () => undefined;
    this.decided = new Promise((resolve) => (decide = resolve));
    this.checker = new HealthChecker(http, health, (up, cause) => {
      this.healthy = up;
      decide();
      onChange(this, cause);
    });
  }

  /** Whether it gets connections: healthy, and its agent can be talked to. */
  get up(): boolean {
    return this.healthy && this.link.up;
  }

  /** Tells the same backend in the next configuration: a change of what is checked makes it another one. */
  get healthKey(): string {
    const { http } = this.config;
    return `${this.pool.name} ${this.config.name} ${http?.host ?? ''} ${http?.port ?? ''} ${this.pool.health?.path ?? ''}`;
  }
}
