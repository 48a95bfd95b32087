import type { Candidate } from '../balance/balancer';
import { formatEndpoint } from '../config/addresses';
import type { Endpoint } from '../config/model';
import type { NextHop } from '../steer/flow-table';
import { FailureStreak } from './failure-streak';
import type { Standing } from './messages';
import type { Offers } from './offers';

/** What became of an attempt to hand a connection to a backend: values of the label `result` of handoffs_total. */
export const HANDOFF_RESULTS = ['ok', 'rejected', 'timeout', 'channel_lost', 'moved', 'table_full'] as const;
export type HandoffResult = (typeof HANDOFF_RESULTS)[number];

export interface BackendOptions {
  readonly name: string;
  readonly weight: number;
  /** Connections that its agent may have for this pool to give it another. */
  readonly max_connections?: number;
  /** Time that it takes to get its whole share after it was away, milliseconds. */
  readonly slow_start?: number;
  /** Its number in the flow table. */
  readonly number: number;
  readonly hops: { readonly 4?: NextHop; readonly 6?: NextHop };
  readonly http?: Endpoint;
}

/** The share of its weight that a backend has at least in a slow start: with less it would be warmed by nobody. */
const LEAST_SHARE = 0.05;

/** In a pool that ejects nobody. */
const UNHEARD = { failing: () => undefined, recovered: () => undefined };

/** A backend of one pool, as an accepting thread sees it. */
export class Backend implements Candidate {
  readonly name: string;
  readonly number: number;
  readonly hops: BackendOptions['hops'];
  readonly http: Endpoint | undefined;
  /** Whether it may get connections, in the eyes of the main thread; the control channel's state is apart. */
  takes = false;
  readonly #maxConnections: number;
  readonly #weight: number;
  readonly #slowStartMs: number;
  /** When it gets its whole share, performance.now(). */
  #warmAt = -Infinity;
  /** Losses of the channel that were counted as failures. */
  #losses = 0;
  readonly results: Record<HandoffResult, number> = {
    ok: 0,
    rejected: 0,
    timeout: 0,
    channel_lost: 0,
    moved: 0,
    table_full: 0,
  };

  constructor(
    options: BackendOptions,
    readonly offers: Offers,
    standing: Standing,
    readonly streak = new FailureStreak(Infinity, UNHEARD),
  ) {
    this.name = options.name;
    this.#weight = options.weight;
    this.#maxConnections = options.max_connections ?? Infinity;
    this.#slowStartMs = options.slow_start ?? 0;
    this.number = options.number;
    this.hops = options.hops;
    this.http = options.http;
    this.stand(standing);
  }

  stand({ takes, warmingMs }: Standing): void {
    if (takes && !this.takes) this.streak.again();
    this.takes = takes;
    this.#warmAt = warmingMs > 0 ? performance.now() + warmingMs : -Infinity;
  }

  /** An offer was lost with the channel: one failure, however many others were lost with it. */
  channelLost(): void {
    if (this.offers.losses === this.#losses) return;
    this.#losses = this.offers.losses;
    this.streak.failed('channel_lost');
  }

  /** For a handoff: its agent takes offers now. */
  get available(): boolean {
    return this.takes && this.offers.open && !this.full;
  }

  /** Whether it has as many connections as it may, as far as this thread knows. */
  get full(): boolean {
    return this.#maxConnections !== Infinity && this.load >= this.#maxConnections;
  }

  get load(): number {
    return this.offers.load;
  }

  /** In a slow start it grows from near nothing, as the time goes. */
  get weight(): number {
    if (this.#warmAt === -Infinity) return this.#weight;
    const left = (this.#warmAt - performance.now()) / this.#slowStartMs;
    if (left > 0) return this.#weight * Math.max(LEAST_SHARE, 1 - left);
    this.#warmAt = -Infinity;
    return this.#weight;
  }
}

/** The same backend as the target of the proxy fallback, which needs no agent. */
export class ProxyTarget implements Candidate {
  readonly name: string;
  readonly origin: string;

  constructor(
    private readonly backend: Backend,
    http: Endpoint,
  ) {
    this.name = backend.name;
    this.origin = `http://${formatEndpoint(http)}`;
  }

  get available(): boolean {
    return this.backend.takes && !this.backend.full;
  }

  get weight(): number {
    return this.backend.weight;
  }

  /** Of the agent: what is relayed to it is not counted. */
  get load(): number {
    return this.backend.load;
  }

  /** Whether the backend's agent is there. The origin may well be up without. */
  get answers(): boolean {
    return this.backend.offers.answers;
  }
}
