/**
 * A configuration after loading: durations in milliseconds, addresses split, paths absolute, defaults filled in.
 * The YAML spelling of the same keys is in schema.ts; load.ts turns one into the other.
 */

/** An IP address and port; `family` is 4 or 6, `host` has no brackets. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
  readonly family: 4 | 6;
}

export interface ListenerConfig {
  readonly name: string;
  readonly bind: Endpoint;
  readonly protocol: 'http' | 'tls' | 'tcp';
  readonly routing: 'per-request' | 'per-connection';
  readonly limits?: ListenerLimits;
}

/** What is refused beyond; absent ones do not limit. */
export interface ListenerLimits {
  readonly connections?: number;
  readonly client_connections?: number;
  /** New connections per second. */
  readonly client_rate?: number;
  readonly client_burst?: number;
}

export interface RouteMatchConfig {
  /** Exact host or `*.suffix`, lower case; any of the list matches. */
  readonly host?: readonly string[];
  readonly path?: readonly string[];
  readonly path_prefix?: readonly string[];
  readonly method?: readonly string[];
  /** Header name in lower case -> exact value. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteConfig {
  readonly match?: RouteMatchConfig;
  readonly pool: string;
}

export interface HealthConfig {
  readonly path: string;
  readonly interval: number;
  readonly timeout: number;
  readonly rise: number;
  readonly fall: number;
}

export interface BackendConfig {
  readonly name: string;
  readonly agent: Endpoint;
  /** On-link next hops that lead to the backend: at most one per family. */
  readonly via: readonly { readonly host: string; readonly family: 4 | 6 }[];
  /** Where health checks and the proxy fallback connect. */
  readonly http?: Endpoint;
  readonly weight: number;
  readonly max_connections?: number;
  /** Milliseconds. */
  readonly slow_start?: number;
}

/** Backends by DNS. */
export interface DiscoveryConfig {
  /** Lower case, without a final dot. */
  readonly dns: string;
  /** What it is asked for: A and AAAA, or SRV. */
  readonly records: 'addresses' | 'services';
  /** The agents' control port; absent where records are services. */
  readonly port?: number;
  readonly http_port?: number;
  /** As of a backend; absent where each backend's own addresses are the next hops. */
  readonly via?: BackendConfig['via'];
  /** Absent where records are services, and 1 without it. */
  readonly weight?: number;
  readonly max_connections?: number;
  /** Milliseconds. */
  readonly slow_start?: number;
  /** Absent where the system's are asked. */
  readonly resolver?: Endpoint;
  /** Milliseconds. */
  readonly min_interval: number;
  readonly max_interval: number;
}

export type BalancePolicy = 'round-robin' | 'least-connections' | 'random-two' | 'maglev';

export interface PoolConfig {
  readonly name: string;
  readonly balance: BalancePolicy;
  readonly hash?: string;
  readonly health?: HealthConfig;
  readonly fallback: 'proxy' | 'refuse';
  /** With `discovery` those that were discovered: none in a configuration as loaded. */
  readonly backends: readonly BackendConfig[];
  readonly discovery?: DiscoveryConfig;
}

/** PEM texts: the authorities that sign peers, this node's certificate with what leads to its authority, its key. */
export interface Credentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Mutual TLS of the control channel. */
export interface ControlTls {
  /** Absolute names of the files. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** An agent's: the fronts that may connect; absent, all that the authorities sign. */
  readonly allow?: readonly string[];
  /**
   * What the files held when the configuration was checked. A running node reads them no more: what was checked is what
   * is used, and its threads need no right to read the key.
   */
  readonly pem: Credentials;
}

/** How the control channel is secured; exactly one of the two. */
export interface ControlSecurity {
  readonly insecure: boolean;
  readonly tls?: ControlTls;
}

/** Where the admin API listens: an address, or a Unix socket by its absolute path. */
export type AdminListen = Endpoint | { readonly socket: string };

export interface AdminConfig {
  readonly listen: AdminListen;
  /** Absolute path of the file that holds the token; there is one unless only this host can reach the API. */
  readonly token_file?: string;
}

export interface FrontConfig {
  readonly kind: 'front';
  readonly node: string;
  readonly listeners: readonly ListenerConfig[];
  readonly routes: readonly RouteConfig[];
  readonly pools: readonly PoolConfig[];
  readonly steering: { readonly interface: string; readonly pin: string; readonly max_flows: number };
  readonly control: ControlSecurity;
  readonly admin: AdminConfig;
  /** Milliseconds. */
  readonly timeouts: {
    readonly head: number;
    readonly prepare: number;
    readonly backend_gone: number;
    readonly idle_flow: number;
    readonly linger: number;
  };
  readonly limits: { readonly head_bytes: number; readonly connections: number };
  /** Accepting threads, `auto` already resolved to the number of cores. */
  readonly workers: number;
}

export type ServeConfig =
  | { readonly kind: 'upstream'; readonly upstream: string }
  | {
      readonly kind: 'app';
      /** Absolute path of the module. */
      readonly app: string;
      /** Where the app is served to ordinary connections too: health checks and the front's proxy fallback. */
      readonly listen?: Endpoint;
    };

/** A VIP of an agent: with any port, where it names none. */
export interface VipConfig {
  readonly host: string;
  readonly family: 4 | 6;
  readonly port?: number;
}

export interface AgentConfig {
  readonly kind: 'agent';
  readonly node: string;
  readonly control: ControlSecurity & { readonly listen: Endpoint };
  /** Only connections to these may be restored. */
  readonly vips: readonly VipConfig[];
  readonly manage_vips: boolean;
  /** Absent when the agent is a library inside the service (`attach`). */
  readonly serve?: ServeConfig;
  readonly admin?: AdminConfig;
}
