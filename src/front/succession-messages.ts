/**
 * What a front and its successor say to each other, on Node's IPC channel. The successor is a child process of the front
 * and has its listening sockets as descriptors 3, 4, ...
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
import type { KnownMembers } from './discovery';
import type { StatsSnapshot } from '../observe/stats';
import type { KnownBackend } from './watched-backend';

/** Holds the pid of the front that has started this process: whoever inherits the variable further down is not meant. */
export const PREDECESSOR = 'BATON_PREDECESSOR';

/** Of the messages below. A successor of another version says so and ends. */
export const VERSION = 2;

/** What a successor has to know to take over. */
export interface Bequest {
  readonly type: 'bequest';
  readonly version: number;
  /** The descriptors from 3 on: what each is bound to (Listeners.addressOf), and whether a service manager has it too. */
  readonly sockets: readonly { readonly address: string; readonly held: boolean }[];
  readonly steering: { readonly interface: string; readonly pin: string };
  /** Backend numbers that the front may still steer connections by. */
  readonly numbers: readonly number[];
  /** Of the current configuration first. */
  readonly backends: readonly KnownBackend[];
  /** What names of pools stand for; DNS may be down when it is asked next. Fronts before discovery leave none. */
  readonly discovered?: readonly KnownMembers[];
}

export type ToSuccessor =
  | Bequest
  /** The admin API's socket is the successor's alone, and this is what the front has counted so far. */
  | { readonly type: 'admin'; readonly counted: StatsSnapshot }
  /** The last word: all that the front has counted. */
  | { readonly type: 'counted'; readonly counted: StatsSnapshot };

export type ToPredecessor =
  /** Connections are accepted, from the inherited sockets of these addresses among others. */
  { readonly type: 'serving'; readonly addresses: readonly string[] } | FailedStart;

export interface FailedStart {
  readonly type: 'failed';
  readonly cause: string;
}
