import { createHash } from 'node:crypto';
import type { BackendConfig, PoolConfig } from '../config/model';
import { HealthChecker } from '../health/checker';
import { Ejections, type Ejection, type Finding, type KnownEjections } from '../health/ejections';
import type { Suspect } from '../health/outliers';
import type { NextHops } from '../steer/next-hops';
import type { Link } from '../wire/link';
import { stateOf, type BackendState } from './backend-state';
import type { BackendFacts, Standing } from './messages';

/** What the next generation, or a successor, has to know of a backend; JSON. */
export interface KnownBackend {
  readonly pool: string;
  readonly name: string;
  /** What was checked: a change of that makes what the checks said worthless. */
  readonly checked: string;
  readonly healthy: boolean;
  readonly draining: boolean;
  readonly warmingMs: number;
  readonly ejections?: KnownEjections | undefined;
}

/** What a backend has to know of its agent (WatchedAgent). */
export interface BackendAgent {
  readonly link: Link;
  readonly draining: boolean;
}

/** A backend of a pool with what watches it, for the front's main thread. */
export class WatchedBackend implements Suspect {
  readonly hops: BackendFacts['hops'];
  /** Undefined where the pool has no health checks. */
  readonly checker: HealthChecker | undefined;
  /** Resolves with the first result. */
  readonly decided: Promise<void>;
  #healthy: boolean;
  #draining: boolean;
  #state: BackendState;
  #cause = 'not checked yet';
  /** When a slow start is over, performance.now(). */
  #warmUntil = -Infinity;
  #warmTimer: NodeJS.Timeout | undefined;
  /** Whether a backend that comes up has been away, and was not only waited for by a front that starts. */
  #slowStarts: boolean;
  /** Undefined where the pool ejects nobody. */
  readonly #ejections: Ejections | undefined;

  /**
   * `onChange` is called whenever the standing may have changed, with the state before and what has happened.
   * @param known of the same backend before a reload or restart; `undefined` where it is new, `'first'` where all are.
   */
  constructor(
    readonly pool: PoolConfig,
    readonly config: BackendConfig,
    /** Its number in the flow table. */
    readonly number: number,
    readonly agent: BackendAgent,
    hops: Pick<NextHops, 'of'>,
    known: KnownBackend | 'first' | undefined,
    private readonly onChange: (backend: WatchedBackend, before: BackendState, cause: string) => void,
  ) {
    this.hops = config.via.map(({ host, family }) => ({ family, ...hops.of(host) }));
    const { health, outliers } = pool;
    const { http } = config;
    const before = known === 'first' ? undefined : known;
    this.#draining = before?.draining ?? false;
    this.#slowStarts = known === undefined;
    this.#ejections = outliers && new Ejections(outliers, before?.ejections);
    const warmingMs = Math.min(before?.warmingMs ?? 0, config.slow_start ?? 0);
    if (warmingMs > 0) this.#warm(warmingMs);
    if (health === undefined || http === undefined) {
      this.checker = undefined;
      this.#healthy = true;
      this.decided = Promise.resolve();
    } else {
      // Before their first result what was known of the backend, or that it is down.
      this.#healthy = before?.checked === this.#checked && before.healthy;
      let decide: () => void = () => undefined;
      this.decided = new Promise((resolve) => (decide = resolve));
      this.checker = new HealthChecker(http, health, (up, cause) => {
        this.#healthy = up;
        this.review(cause);
        decide();
      });
    }
    this.#state = this.#newState();
  }

  /** The keeper's channel to its agent. */
  get link(): Link {
    return this.agent.link;
  }

  /** From now on a backend that comes up has been away. */
  started(): void {
    this.#slowStarts = true;
  }

  async stop(): Promise<void> {
    clearTimeout(this.#warmTimer);
    await this.checker?.stop();
  }

  get name(): string {
    return this.config.name;
  }

  /** What the health checks say. */
  get healthy(): boolean {
    return this.#healthy;
  }

  get state(): BackendState {
    return this.#state;
  }

  /** Why it is in this state. */
  get cause(): string {
    if (this.#state === 'ejected') return this.ejection?.finding.detail ?? this.#cause;
    if (this.#state !== 'down' && this.#state !== 'up') return this.#cause;
    const { link, checker } = this;
    return link.up ? (checker?.lastCause ?? 'control channel is up') : `control channel: ${link.lastCause}`;
  }

  /** Whether it could get connections: healthy, and its agent can be talked to. */
  get up(): boolean {
    return this.#healthy && this.link.up;
  }

  /** Whether this front or its agent was told to let it have no new connections. */
  get draining(): boolean {
    return this.#draining || this.agent.draining;
  }

  /** Whether it would get connections if it were not ejected. */
  get eligible(): boolean {
    return this.up && !this.draining && this.config.weight > 0;
  }

  get ejection(): Ejection | undefined {
    return this.#ejections?.current;
  }

  /** Until its ejection is over; 0 where there is none. */
  get ejectedMs(): number {
    return this.#ejections?.leftMs ?? 0;
  }

  eject(finding: Finding): void {
    this.#ejections?.begin(finding);
    this.review(finding.detail);
  }

  readmit(cause: string): void {
    this.#ejections?.end();
    this.review(cause);
  }

  /** Begins draining, or ends that and any ejection. */
  drain(draining: boolean): void {
    this.#draining = draining;
    if (!draining) this.#ejections?.forgive();
    this.review(`POST /v1/backends/${this.pool.name}/${this.config.name}/${draining ? 'drain' : 'ready'}`);
  }

  get standing(): Standing {
    const takes = this.#healthy && !this.draining && this.ejection === undefined;
    return { takes, warmingMs: this.#warmingMs };
  }

  get known(): KnownBackend {
    return {
      pool: this.pool.name,
      name: this.config.name,
      checked: this.#checked,
      healthy: this.#healthy,
      draining: this.#draining,
      warmingMs: this.#warmingMs,
      ejections: this.#ejections?.known,
    };
  }

  /** Something that its state depends on may have changed. */
  review(cause: string): void {
    const before = this.#state;
    const { slow_start: slowStartMs = 0 } = this.config;
    if (this.#newState() === 'up' && AWAY.has(before) && this.#slowStarts && slowStartMs > 0)
      this.#warm(slowStartMs);
    this.#state = this.#newState();
    if (this.#state !== before) this.#cause = cause;
    this.onChange(this, before, cause);
  }

  #warm(ms: number): void {
    this.#warmUntil = performance.now() + ms;
    clearTimeout(this.#warmTimer);
    this.#warmTimer = setTimeout(() => {
      this.#warmUntil = -Infinity;
      this.review('slow start is over');
    }, ms).unref();
  }

  get #warmingMs(): number {
    return Math.max(0, this.#warmUntil - performance.now());
  }

  #newState(): BackendState {
    return stateOf({
      draining: this.draining,
      up: this.up,
      ejected: this.ejection !== undefined,
      warming: this.#warmUntil > 0,
    });
  }

  get #checked(): string {
    const { path, expect, headers, port, tls } = this.pool.health ?? {};
    const what = JSON.stringify([this.config.http, path, expect, headers, port, tls]);
    // Headers may be secret, and a digest is shorter too.
    return createHash('sha256').update(what).digest('base64');
  }
}

const AWAY: ReadonlySet<BackendState> = new Set(['down', 'draining', 'ejected']);
