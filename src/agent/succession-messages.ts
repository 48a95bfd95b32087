/**
 * What an agent and its successor say to each other (succession/messages.ts):
 *
 *   agent                                        successor
 *     | start, bequest -------------------------->|
 *     |                                           | reads its configuration, imports the application
 *     |<----------------------------------- ready |
 *     | no more offers and hand backs: those under way come to their ends
 *     | closes the control port and all channels  |
 *     | records (of all that lives here) -------->|
 *     | yours ----------------------------------->| listens: the fronts' channels open again, and are told what lives
 *     |<--------------------------------- serving |        <- the commit point
 *     | admin ----------------------------------->| listens for the admin API, counts on
 *     | connection, with its socket ------------->| serves it; each as soon as it is between two requests
 *     | closed, void ---------------------------->| tells the fronts
 *     | counted --------------------------------->|
 *     | ends                                      | what is left of the records has ended with it
 *
 * `failed`, an early end of the successor or a time limit leave the agent as it was; behind `yours` it listens again.
 *
 * The socket of a connection is passed as it is: its packets meet it all the while, and wait in its queue.
 */
import type { StatsSnapshot } from '../observe/stats';
import type { FlowRecord } from '../steer/flow-table';
import type * as succession from '../succession/messages';
import type { HandoffDetails } from '../wire/handoff-details';
import type { Served } from './rules';

/** Of the messages below. */
export const VERSION = 1;
/** Of one message: a list must not be one line of many megabytes. */
export const MOST_RECORDS = 1000;

/** What requests of a front's connections are judged by (wire/routing-table.ts). */
export interface FrontTable {
  readonly front: string;
  readonly table: string;
}

export interface Bequest extends succession.Bequest {
  readonly node: string;
  readonly tables: readonly FrontTable[];
}

/** Whom a successor has to serve connections. */
export interface Ready {
  readonly type: 'ready';
  readonly http: boolean;
  readonly adopt: boolean;
  readonly tcp: boolean;
  /** Of the listening sockets that it goes on with. */
  readonly addresses: readonly string[];
}

/** A FlowRecord; bytes are base64 here as below. */
export interface SentRecord {
  readonly flow: string;
  readonly epoch: number;
  readonly sequence: number;
}

/** A connection, beside its socket. */
export interface SentConnection extends SentRecord {
  readonly type: 'connection';
  readonly front: string;
  readonly details?: HandoffDetails | undefined;
  /** How long it has been live. */
  readonly ageMs: number;
  /** It has had requests. */
  readonly asked: boolean;
  /** It has no head. */
  readonly raw: boolean;
  /** Its requests are judged; `served` is what its last one was led by. */
  readonly judged: boolean;
  readonly served?: Served | undefined;
  /** What was read from it and nobody has seen. */
  readonly held: string;
  /** What its application has left. */
  readonly state?: string | undefined;
}

export type ToSuccessor =
  | { readonly type: 'records'; readonly records: readonly (SentRecord & { readonly front: string })[] }
  | { readonly type: 'yours'; readonly tables: readonly FrontTable[]; readonly draining: boolean }
  | { readonly type: 'admin' | 'counted'; readonly counted: StatsSnapshot }
  | { readonly type: 'closed' | 'void'; readonly records: readonly SentRecord[] }
  | SentConnection;

export function sentRecord({ flow, id }: FlowRecord): SentRecord {
  return { flow: flow.toString('base64'), ...id };
}

export function recordOf({ flow, epoch, sequence }: SentRecord): FlowRecord {
  return { flow: Buffer.from(flow, 'base64'), id: { epoch, sequence } };
}
