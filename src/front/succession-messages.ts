/**
 * What a front and its successor say to each other (succession/messages.ts):
 *
 *   front                                       successor
 *     | start, bequest ------------------------->|
 *     |                                          | opens what is missing, starts its threads
 *     |<------------------------------- serving  |        <- the commit point: both accept connections
 *     | closes its listening sockets             |
 *     | admin ---------------------------------->| listens for the admin API, counts on
 *     | finishes the connections in its hands    |
 *     | counted -------------------------------->|
 *     | ends                                     |
 *
 * `failed`, an early end of the successor or the time limit leave the front as it was.
 */
import type { StatsSnapshot } from '../observe/stats';
import type * as succession from '../succession/messages';
import type { KnownMembers } from './discovery';
import type { KnownBackend } from './watched-backend';

/** Of the messages below. */
export const VERSION = 2;

export interface Bequest extends succession.Bequest {
  readonly steering: { readonly interface: string; readonly pin: string };
  /** Backend numbers that the front may still steer connections by. */
  readonly numbers: readonly number[];
  /** Of the current configuration first. */
  readonly backends: readonly KnownBackend[];
  /** What names of pools stand for; DNS may be down when it is asked next. Fronts before discovery leave none. */
  readonly discovered?: readonly KnownMembers[];
}

export type ToSuccessor =
  /** The admin API's socket is the successor's alone, and this is what the front has counted so far. */
  | { readonly type: 'admin'; readonly counted: StatsSnapshot }
  /** The last word: all that the front has counted. */
  | { readonly type: 'counted'; readonly counted: StatsSnapshot };

/** Connections are accepted, from the inherited sockets of these addresses among others. */
export interface Serving {
  readonly type: 'serving';
  readonly addresses: readonly string[];
}
