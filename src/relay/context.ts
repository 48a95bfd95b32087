import type { RelayLimits } from './limits';
import type { Origins } from './origins';
import type { Running } from './running';

/** What the owner of a relay wants to count or log. Neither may throw. */
export interface RelayHooks {
  /** The status of every final answer, including 101 and the relay's own refusals. */
  onResponse?(status: number): void;
  /** An exchange that failed on the origin's side; `origin` as given by the caller. */
  onError?(error: Error, origin: string): void;
}

/** What one exchange or tunnel needs of its relay. */
export interface RelayContext {
  readonly limits: RelayLimits;
  readonly hooks: RelayHooks;
  readonly origins: Origins;
  readonly running: Running;
  readonly state: RelayState;
}

interface RelayState {
  /** No new requests, and connections are not kept alive. */
  closing: boolean;
  /** Octets of bodies and tunnels passed on so far. */
  bytesToClients: number;
}
