/** Every bound of the relay. Times are in milliseconds. */
export interface RelayLimits {
  readonly maxConnectionsPerOrigin: number;
  readonly connectTimeout: number;
  readonly startTimeout: number;
  readonly headersTimeout: number;
  readonly bodyTimeout: number;
  readonly tunnelIdleTimeout: number;
  readonly lingerTimeout: number;
}

export const DEFAULT_LIMITS: RelayLimits = {
  // An open event stream or long poll holds a connection, so this bounds file descriptors rather than
  // concurrency. It stays well below the 28,000 ephemeral ports that Linux has from one address to one origin.
  maxConnectionsPerOrigin: 8192,
  // Origins are on this host or on the link: three attempts of the kernel's SYN (after 0, 1 and 3 seconds).
  connectTimeout: 5_000,
  // From arrival until the request has a connection of its own; covers waiting for a free one and connecting.
  startTimeout: 10_000,
  // The application has the last word on being slow; this is what Node's own server grants a whole request.
  headersTimeout: 300_000,
  bodyTimeout: 300_000,
  // The same as the front's default for flows without packets (`timeouts.idle_flow`).
  tunnelIdleTimeout: 3_600_000,
  // How long the rest of a body that nobody reads is thrown away, so that its sender can read the answer.
  // Thirty seconds is also what nginx takes (lingering_time).
  lingerTimeout: 30_000,
};

/** Origins come from the configuration; the bound only keeps reloads with changing addresses from piling up pools. */
export const MAX_ORIGINS = 1024;

/**
 * Idle connections are given up before the usual servers do (Node after 5 s), because a request that meets a
 * closing connection costs a retry. An origin's `Keep-Alive: timeout` shortens or extends it.
 */
export const ORIGIN_KEEP_ALIVE_MS = 4_000;
