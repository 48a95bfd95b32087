/**
 * A configuration after loading: durations in milliseconds, addresses split, paths absolute, defaults filled in.
 * The YAML spelling of the same keys is in schema.ts; load.ts turns one into the other.
 */

import type { HeadEdits } from '../route/head-edits';

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
  readonly routing: 'per-request' | 'forward' | 'per-connection';
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

/** An exact value, what matches all of it, or whether there is one. */
export type ValueMatchConfig = string | { readonly regex: string } | { readonly present: boolean };

export interface HeadMatchConfig {
  /** Exact host or `*.suffix`, lower case; any of the list matches. */
  readonly host?: readonly string[];
  readonly path?: readonly string[];
  readonly path_prefix?: readonly string[];
  readonly path_regex?: readonly string[];
  readonly method?: readonly string[];
  /** By header name in lower case. */
  readonly headers?: Readonly<Record<string, ValueMatchConfig>>;
  /** By the decoded name of a parameter. */
  readonly query?: Readonly<Record<string, ValueMatchConfig>>;
  /** By the name of a cookie. */
  readonly cookie?: Readonly<Record<string, ValueMatchConfig>>;
  /** Addresses and networks, in one spelling each. */
  readonly client?: readonly string[];
  /** Names of listeners. */
  readonly listener?: readonly string[];
}

export interface RouteMatchConfig extends HeadMatchConfig {
  /** What must not hold as a whole. */
  readonly not?: HeadMatchConfig;
}

/** Pools that share the requests of a route. */
export interface SplitConfig {
  readonly pools: readonly { readonly name: string; readonly weight: number }[];
  /** client, path, header:NAME or cookie:NAME; absent, chance decides. */
  readonly by?: string;
}

/** An answer of the front's own; `headers` are as they were written, `body` is '' where there is none. */
export interface RespondConfig {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface RouteConfig {
  readonly name?: string;
  readonly match?: RouteMatchConfig;
  /** Exactly one of the next five. */
  readonly pool?: string;
  readonly split?: SplitConfig;
  readonly respond?: RespondConfig;
  /** `to` is a template (route/location.ts). */
  readonly redirect?: { readonly to: string; readonly status: number };
  readonly deny?: { readonly status: number };
  /** Absent where nothing is changed; with `pool` and `split` only. */
  readonly edits?: HeadEdits;
}

/** Status codes, both ends included. */
export interface StatusRange {
  readonly first: number;
  readonly last: number;
}

export interface HealthTls {
  /** PEM text: what the file held when the configuration was checked. Absent, the authorities that Node trusts. */
  readonly ca?: string;
  readonly server_name?: string;
  /** Any certificate will do. */
  readonly insecure: boolean;
}

export interface HealthConfig {
  readonly path: string;
  /** Any of them is a success. */
  readonly expect: readonly StatusRange[];
  /** Header name in lower case -> value. */
  readonly headers: Readonly<Record<string, string>>;
  /** In place of the one of `http`. */
  readonly port?: number;
  /** Absent, checks go in the clear. */
  readonly tls?: HealthTls;
  readonly interval: number;
  /** Share of the interval. */
  readonly jitter: number;
  readonly timeout: number;
  readonly rise: number;
  readonly fall: number;
}

/** When a backend is ejected, and for how long. Times in milliseconds. */
export interface OutlierConfig {
  readonly window: number;
  readonly min_responses: number;
  /** Share of the responses. */
  readonly errors: number;
  readonly latency?: number;
  /** In a row. */
  readonly failures: number;
  readonly eject: number;
  readonly max_eject: number;
  /** Of the backends that could take connections. */
  readonly max_share: number;
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
  /** Name of the cookie that holds the name of a session's backend. */
  readonly sticky?: string;
  readonly health?: HealthConfig;
  /** Absent, none is ejected. */
  readonly outliers?: OutlierConfig;
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

/** Who serves HTTP. */
export type HttpServeConfig =
  | { readonly kind: 'upstream'; readonly upstream: string }
  | {
      readonly kind: 'app';
      /** Absolute path of the module. */
      readonly app: string;
      /** Where the app is served to ordinary connections too: health checks and the front's proxy fallback. */
      readonly listen?: Endpoint;
    };

/** One of the two at least. */
export interface ServeConfig {
  readonly http?: HttpServeConfig;
  /** Absolute path of the module that takes connections without a head. */
  readonly tcp?: string;
}

/** A VIP of an agent: with any port, where it names none. */
export interface VipConfig {
  readonly host: string;
  readonly family: 4 | 6;
  readonly port?: number;
}

/** The lines about requests that an agent writes. */
export interface AccessLogConfig {
  /** Absolute path of the file; absent, lines go to standard output. */
  readonly file?: string;
  /** Share of the requests that get a line, 0 to 1. */
  readonly sample: number;
  /** Whether every answer of 500 and above gets a line, whatever `sample` says. */
  readonly errors: boolean;
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
  /** Name of the cookie that is set to `node`. */
  readonly sticky_cookie?: string;
  readonly access_log?: AccessLogConfig;
  readonly admin?: AdminConfig;
}
