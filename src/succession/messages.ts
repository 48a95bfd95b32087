/**
 * What a process and its successor say to each other first, on Node's IPC channel; the rest is for fronts and agents to say. The
 * successor is a child process, and has the listening sockets as its descriptors 3, 4, ...
 */

/** Holds the pid of the process that has started this one: whoever inherits the variable further down is not meant. */
export const PREDECESSOR = 'BATON_PREDECESSOR';

/** What a successor has to know to take over. */
export interface Bequest {
  readonly type: 'bequest';
  /** Of the messages. A successor of another version says so and ends. */
  readonly version: number;
  /** The descriptors from 3 on: what each is bound to (addressOf), and whether a service manager has it too. */
  readonly sockets: readonly { readonly address: string; readonly held: boolean }[];
}

export interface FailedStart {
  readonly type: 'failed';
  readonly cause: string;
}
