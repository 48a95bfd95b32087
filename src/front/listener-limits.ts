import type { ListenerLimits } from '../config/model';
import { flowFamily } from '../kernel/flow';
import { ClientRates } from './client-rates';
import type { ConnectionCounts } from './connection-counts';

/** Why a connection is one too many: values of the label `reason` of heads_refused_total. */
export const LIMIT_REASONS = ['listener_connections', 'client_connections', 'client_rate'] as const;
export type LimitReason = (typeof LIMIT_REASONS)[number];

/** What the clients of a listener may have. */
export class LimitsOfListener {
  readonly #rates: ClientRates | undefined;

  /** @param threads that accept connections: a client's come to all of them alike, so each has its part of the rate. */
  constructor(
    private readonly limits: ListenerLimits,
    private readonly counts: ConnectionCounts,
    threads: number,
  ) {
    const { client_rate: rate, client_burst: burst = Math.max(1, rate ?? 1) } = limits;
    if (rate !== undefined) this.#rates = new ClientRates(rate / threads, Math.max(1, burst / threads));
  }

  /** Whether another connection is too many, itself being counted already. */
  exceededBy(flow: Buffer, now: number): LimitReason | undefined {
    const { connections = Infinity, client_connections: perClient = Infinity } = this.limits;
    // Who asks too often shall not be able to keep the others' connections from being counted right.
    if (this.#rates?.take(clientOf(flow), now) === false) return 'client_rate';
    if (perClient !== Infinity && this.counts.ofClient(flow) > perClient) return 'client_connections';
    if (connections !== Infinity && this.counts.ofVip(flow) > connections) return 'listener_connections';
    return undefined;
  }
}

/** Status that a client is told: whether it has too much or all have. */
export function statusOf(reason: LimitReason): number {
  return reason === 'listener_connections' ? 503 : 429;
}

/** An IPv4 address, or an IPv6 network of 64 bits. */
function clientOf(flow: Buffer): string {
  return flowFamily(flow) === 4 ? flow.toString('latin1', 12, 16) : flow.toString('latin1', 0, 8);
}
