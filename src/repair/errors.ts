import { errnoName } from '../kernel/errors';

/**
 * Why a connection could not be dumped or restored. Codes are stable: they travel in REJECTED frames and are metric
 * labels, and ARCHITECTURE.md lists them.
 */
export const REPAIR_CODES = [
  /**
   * The process lacks CAP_NET_ADMIN in the socket's network namespace, or CAP_NET_BIND_SERVICE for a VIP's port below
   * 1024.
   */
  'not_permitted',
  /** The connection is not ESTABLISHED (a FIN or RST came in between) or is of a kind that has no repair (MPTCP, TLS). */
  'not_established',
  /**
   * A queue was not read whole: a packet was under way on another CPU when the flow was frozen, or an urgent byte ended
   * the peek.
   */
  'queue_moved',
  /** The tuple is still known to this kernel and could not be freed. */
  'address_in_use',
  /** The VIP is not an address of this host. */
  'vip_not_local',
  /** The snapshot's bytes contradict themselves or ask for what no connection has. */
  'malformed_snapshot',
  /** Any other refusal by the kernel. */
  'kernel',
] as const;
export type RepairCode = (typeof REPAIR_CODES)[number];

export class RepairError extends Error {
  constructor(
    readonly code: RepairCode,
    readonly step: string,
    readonly errno = 0,
  ) {
    super(errno === 0 ? step : `${step}: ${errnoName(errno)}`);
    this.name = 'RepairError';
  }
}
