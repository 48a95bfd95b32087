/** What a field, a parameter or a cookie must be: exactly this, all of it matched by a Pattern, or there at all or not. */
export type ValueMatch = string | { readonly regex: string } | { readonly present: boolean };

type ValueMatches = Readonly<Record<string, ValueMatch>>;

/** Every key that is given must hold, and of a list any member. Without a head none does but `client` and `listener`. */
export interface HeadMatch {
  /** Exact host, or `*.suffix` for one or more labels before the suffix; in any case, IPv6 without brackets. */
  readonly host?: readonly string[];
  readonly path?: readonly string[];
  /** Whole segments: `/v1` is a prefix of `/v1` and `/v1/x`, not of `/v10`; `/v1/` only of what is below it. */
  readonly path_prefix?: readonly string[];
  /** Patterns of the whole path. */
  readonly path_regex?: readonly string[];
  /** Case-sensitive, like methods themselves. */
  readonly method?: readonly string[];
  /** Field name in any case. */
  readonly headers?: ValueMatches;
  /** Name of a parameter, decoded; of several with the same name any one will do. */
  readonly query?: ValueMatches;
  /** Name of a cookie, case-sensitive; of several with the same name any one will do. */
  readonly cookie?: ValueMatches;
  /** Addresses and networks of clients, as Network reads them. */
  readonly client?: readonly string[];
  /** Names of listeners. */
  readonly listener?: readonly string[];
}

/** What a head, and who sent it, must be like. */
export interface RouteMatch extends HeadMatch {
  /** This must not hold as a whole. */
  readonly not?: HeadMatch;
}
