/** What the front's main thread and its accepting threads say to each other; structured-cloneable. */
import type { FrontConfig } from '../config/model';
import type { Failures } from '../health/evidence';
import type { LaneCounters } from '../observe/log-lane';
import type { StatsSnapshot } from '../observe/stats';
import type { MoveReason } from '../wire/hand-back';
import type { Capacity } from './capacity';
import type { OpenListener } from './listeners';

/** What a backend of a pool takes now. */
export interface Standing {
  /** Whether it may get connections, as far as its channel allows. */
  readonly takes: boolean;
  /** Milliseconds until it gets its whole share; 0 where it does. */
  readonly warmingMs: number;
}

/** What a backend of a pool needs beside its configuration, worked out by the main thread. */
export interface BackendFacts {
  /** Its number in the flow table. */
  readonly number: number;
  readonly hops: { readonly family: 4 | 6; readonly address: Uint8Array; readonly ifindex: number }[];
  readonly standing: Standing;
}

export interface WorkerData {
  readonly config: FrontConfig;
  readonly index: number;
  /** Its way to the log. */
  readonly log: LaneCounters;
  /** Of the whole front. */
  readonly capacity: Capacity;
  /** Descriptors of its own: threads of a process share their table. */
  readonly listeners: readonly OpenListener[];
  /** Descriptor of the filter that freezes connections. */
  readonly freezeFilter: number;
  /** Descriptor of the flow table. */
  readonly flowsFd: number;
  readonly reviewFd: number;
  /** Of ConnectionCounts; only where there are limits. */
  readonly counts?: SharedArrayBuffer;
  /** By pool, then by backend, in the configuration's order. */
  readonly facts: readonly (readonly BackendFacts[])[];
}

export type ToWorker =
  /** All threads are ready: take connections, and say `listening`. */
  | { readonly type: 'accept' }
  | {
      readonly type: 'standing';
      readonly pool: string;
      readonly backend: string;
      readonly standing: Standing;
    }
  | { readonly type: 'stats'; readonly request: number }
  /** Take no more connections, at the addresses in `last` for good; say `stopped` when no connection is left. */
  | { readonly type: 'retire'; readonly last: readonly string[] }
  /** Give up after `graceMs` what is left then. */
  | { readonly type: 'hurry'; readonly graceMs: number };

export interface WorkerStatus {
  /** Connections in the thread's hands. */
  readonly active: number;
  /** Sockets of handed-off connections that are not closed yet. */
  readonly releasing: number;
  /** Octets of response bodies relayed by the fallback. */
  readonly relayedBytes: number;
  /** Offers under way. */
  readonly offers: number;
}

/** The state of several threads together. */
export function sumStatus(parts: readonly WorkerStatus[]): WorkerStatus {
  const sum = (field: keyof WorkerStatus): number => parts.reduce((total, part) => total + part[field], 0);
  return {
    active: sum('active'),
    releasing: sum('releasing'),
    relayedBytes: sum('relayedBytes'),
    offers: sum('offers'),
  };
}

/** A connection that has another backend now. */
export interface Moved {
  /** As formatFlow has it. */
  readonly flow: string;
  readonly from: string;
  readonly to: string;
  readonly reason: MoveReason;
}

export interface Recovered {
  readonly pool: string;
  readonly backend: string;
}

export interface Failing extends Recovered {
  readonly failures: Failures;
}

export type FromWorker =
  /** Everything is there but connections: nothing is lost if the thread ends now. */
  | { readonly type: 'ready' }
  | { readonly type: 'listening' }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'log'; readonly line: string }
  /** The channel to the agent at this address (formatEndpoint) broke. */
  | { readonly type: 'channel_lost'; readonly agent: string }
  | ({ readonly type: 'moved' } & Moved)
  /** So many handoffs to a backend failed in a row, and one has succeeded since. */
  | ({ readonly type: 'failing' } & Failing)
  | ({ readonly type: 'recovered' } & Recovered)
  | {
      readonly type: 'stats';
      readonly request: number;
      readonly stats: StatsSnapshot;
      readonly status: WorkerStatus;
    }
  /** The thread's last word, with what it counted in its life. */
  | { readonly type: 'stopped'; readonly stats: StatsSnapshot };
