import type { Candidate } from '../balance/balancer';
import { formatEndpoint } from '../config/addresses';
import type { Endpoint } from '../config/model';
import type { NextHop } from '../steer/flow-table';
import type { Offers } from './offers';

/** What became of an attempt to hand a connection to a backend: values of the label `result` of handoffs_total. */
export const HANDOFF_RESULTS = ['ok', 'rejected', 'timeout', 'channel_lost', 'moved', 'table_full'] as const;
export type HandoffResult = (typeof HANDOFF_RESULTS)[number];

export interface BackendOptions {
  readonly name: string;
  readonly weight: number;
  /** Its number in the flow table. */
  readonly number: number;
  readonly hops: { readonly 4?: NextHop; readonly 6?: NextHop };
  readonly http?: Endpoint;
}

/** A backend of one pool, as an accepting thread sees it. */
export class Backend implements Candidate {
  readonly name: string;
  readonly weight: number;
  readonly number: number;
  readonly hops: BackendOptions['hops'];
  readonly http: Endpoint | undefined;
  /** What the health checks say; the control channel's state is apart. */
  healthy: boolean;
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
    healthy: boolean,
  ) {
    this.name = options.name;
    this.weight = options.weight;
    this.number = options.number;
    this.hops = options.hops;
    this.http = options.http;
    this.healthy = healthy;
  }

  /** For a handoff: healthy, and its agent takes offers now. */
  get available(): boolean {
    return this.healthy && this.offers.open;
  }
}

/** The same backend as the target of the proxy fallback, which needs no agent. */
export class ProxyTarget implements Candidate {
  readonly name: string;
  readonly weight: number;
  readonly origin: string;

  constructor(
    private readonly backend: Backend,
    http: Endpoint,
  ) {
    this.name = backend.name;
    this.weight = backend.weight;
    this.origin = `http://${formatEndpoint(http)}`;
  }

  get available(): boolean {
    return this.backend.healthy;
  }

  /** Whether the backend's agent is there. The origin may well be up without. */
  get answers(): boolean {
    return this.backend.offers.answers;
  }
}
