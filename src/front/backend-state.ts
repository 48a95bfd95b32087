/** What a backend of a pool may be: values of the label `state` of backend_state. */
export const BACKEND_STATES = ['up', 'slow-start', 'ejected', 'draining', 'down'] as const;
export type BackendState = (typeof BACKEND_STATES)[number];

export interface Circumstances {
  /** The operator wants it to get no connections. */
  readonly draining: boolean;
  /** It is healthy, and its agent can be talked to. */
  readonly up: boolean;
  /** It gets no connections for a while, because others went wrong. */
  readonly ejected: boolean;
  /** It gets less than its share, because it has just come up. */
  readonly warming: boolean;
}

/** What was decided says more than what was found: a backend that drains may well go down then. */
export function stateOf({ draining, up, ejected, warming }: Circumstances): BackendState {
  if (draining) return 'draining';
  if (!up) return 'down';
  if (ejected) return 'ejected';
  return warming ? 'slow-start' : 'up';
}
