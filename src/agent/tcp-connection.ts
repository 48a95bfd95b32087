import type { Socket } from 'node:net';
import { MAX_STATE_BYTES } from '../repair/layout';

/** One end of a connection. */
export interface ConnectionEnd {
  /** An IP address, IPv6 without brackets. */
  readonly address: string;
  readonly port: number;
}

/** What an application leaves for the one that is to serve its connection next: 64 KiB at most. */
export type State = Buffer | undefined;

/**
 * Takes a connection over. `state` is what the application that had it before has left; undefined for a new connection, and
 * where that was nothing. What it throws, or rejects with, ends the connection with RST, and a line in the log says so.
 */
export type Adopt = (connection: TcpConnection, state: State) => void | Promise<void>;

/** What `serve.tcp` names, as its default export: who takes connections without a head. */
export interface TcpApplication {
  readonly adopt: Adopt;
}

/**
 * A connection as its application has it: a socket that may move to another agent while it is open.
 *
 *   adopt(connection, state)   it is the application's; `state` is the session so far
 *   onMove() -> state          it is to go elsewhere: another application adopts it with that state
 *   onStay()                   nobody took it: it goes on here
 *   detach(state)              the application itself lets go
 *
 * Who lets go, by returning from `onMove` or calling `detach`, has stopped reading (`socket.pause()`) and writes no more. What
 * it has written is delivered, also what is still in the socket's buffer. What it has not worked off, the octets of an
 * unfinished message above all, it puts back (`socket.unshift()`): what the socket holds unread goes along and is the first that
 * the next application reads. Once the connection has moved its socket is closed here, without a packet: `close` then says
 * nothing about the client.
 */
export class TcpConnection {
  /**
   * Called when the connection is to be moved; without it, the connection stays where it is. What it throws, or rejects with,
   * keeps it too.
   */
  onMove: (() => State | Promise<State>) | undefined;
  /** Called when a move for which `onMove` has let go has failed: the socket is the application's again, as it was. */
  onStay: (() => void) | undefined;
  #detaching: Promise<boolean> | undefined;

  constructor(
    /** `remoteAddress` is the client's. Its writing side stays open when the client has closed its own: end it then. */
    readonly socket: Socket,
    readonly client: ConnectionEnd,
    readonly vip: ConnectionEnd,
    /** Resolves with whether the connection has moved. */
    private readonly letGo: (state: State) => Promise<boolean>,
  ) {}

  /**
   * Lets go of the connection, so that another agent may serve it. True when it has moved; false when it stays, and is the
   * application's as before. Rejects with a RangeError for more state than may go along; nothing has happened then.
   */
  async detach(state?: Buffer): Promise<boolean> {
    const checked = checkedState(state);
    if (this.socket.destroyed) return false;
    this.#detaching ??= this.letGo(checked).finally(() => (this.#detaching = undefined));
    return this.#detaching;
  }
}

/** The state that an application has given: it may be JavaScript, and is not trusted to give what it should. */
export function checkedState(state: unknown): State {
  if (state === undefined) return undefined;
  if (!Buffer.isBuffer(state)) throw new TypeError(`state: ${typeof state} is not a Buffer`);
  if (state.length > MAX_STATE_BYTES)
    throw new RangeError(`state: ${state.length} bytes, more than ${MAX_STATE_BYTES}`);
  return state;
}
