/**
 * Connections that applications have, on their way to another agent: the application says when, by `detach`, or is asked to let
 * go (tcp-connection.ts).
 *
 *   onMove or detach   the application has stopped reading, and what it has written is waited for
 *   quiet              nothing has come for a moment; octets that wait in the kernel travel along
 *   handed back        with the octets that the socket holds unread, and the application's state
 *   stayed             these go back into the socket, and `onStay` says so
 */
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { descriptorOf, isDelivered, isWritten, startReading, stopReading } from '../kernel/node-socket';
import { sinceReceived, unreadBytes } from '../kernel/socket';
import { RAW } from '../repair/layout';
import type { KeepReason, Wish } from '../wire/hand-back';
import type { HandBacks, StayReason } from './hand-backs';
import type { LiveConnection } from './live-connections';
import type { TakenOut } from './passing';
import { checkedState, type State, type TcpConnection } from './tcp-connection';

const LOOK_MS = 2;
/** What meets a frozen connection costs its client 200 ms, so a pause is waited for, but not for ever: some never pause. */
const QUIET_MS = 20;
/** The same behind octets that nobody has read: their client may be waiting for an answer to them. */
const PAUSE_MS = 4;
const MOST_UNQUIET_MS = 200;
/** How long a client may take to acknowledge what is written, or to make room for it. */
const DELIVERED_MS = 5_000;

/** How long an application may take to say what its state is. */
const STATE_MS = 5_000;

const NOTHING = Buffer.alloc(0);

export interface ApplicationMovesOptions {
  readonly handBacks: HandBacks;
  /** Whether a connection has no head. */
  readonly isRaw: (connection: LiveConnection) => boolean;
  /** An application could not say what its state is. */
  readonly failed: (connection: LiveConnection, cause: unknown) => void;
}

export class ApplicationMoves {
  /** Those that are on their way. */
  readonly #leaving = new Set<LiveConnection>();

  constructor(private readonly options: ApplicationMovesOptions) {}

  get size(): number {
    return this.#leaving.size;
  }

  has(connection: LiveConnection): boolean {
    return this.#leaving.has(connection);
  }

  /** Has an application let go of a connection; resolves with why it stays, or undefined when it has moved. */
  async ask(connection: LiveConnection, view: TcpConnection, wish: Wish): Promise<KeepReason | undefined> {
    if (view.onMove === undefined) return 'upgraded';
    if (this.#leaving.has(connection)) return 'busy';
    this.#leaving.add(connection);
    try {
      const asked = await this.#stateOf(connection, view.onMove.bind(view));
      if (asked === undefined) {
        this.#stay(connection, view);
        return 'refused';
      }
      const stayed = await this.#move(connection, wish, asked.state);
      if (stayed === undefined) return undefined;
      this.#stay(connection, view);
      return stayed === 'not_movable' ? 'closing' : 'refused';
    } finally {
      this.#leaving.delete(connection);
    }
  }

  /**
   * Has an application let go of a connection that another process of this host is to serve. Resolves with what there is of it,
   * once all that was written is the kernel's and nothing is read any more; undefined where the application keeps it.
   */
  async takeOut(connection: LiveConnection, view: TcpConnection): Promise<TakenOut | undefined> {
    const { socket } = connection;
    if (view.onMove === undefined || this.#leaving.has(connection)) return undefined;
    this.#leaving.add(connection);
    try {
      const raw = this.options.isRaw(connection);
      const asked = await this.#stateOf(connection, view.onMove.bind(view));
      const goes =
        asked !== undefined && (raw || isSome(asked.state)) && (await until(socket, () => isWritten(socket)));
      if (!goes || socket.destroyed || socket.writableEnded) {
        this.#stay(connection, view);
        return undefined;
      }
      stopReading(socket);
      const held = (socket.read() as Buffer | null) ?? NOTHING;
      const putBack = (): void => {
        giveBack(socket, held);
        this.#stay(connection, view);
      };
      return { raw, judged: false, held, state: asked.state, putBack };
    } finally {
      this.#leaving.delete(connection);
    }
  }

  /** Undefined where the application could not say what its state is. */
  async #stateOf(
    connection: LiveConnection,
    onMove: () => State | Promise<State>,
  ): Promise<{ readonly state: State } | undefined> {
    try {
      return { state: checkedState(await inTime(onMove())) };
    } catch (cause) {
      this.options.failed(connection, cause);
      return undefined;
    }
  }

  #stay(connection: LiveConnection, view: TcpConnection): void {
    if (connection.socket.destroyed) return;
    try {
      view.onStay?.();
    } catch (cause) {
      this.options.failed(connection, cause);
    }
  }

  /** An application has let go of a connection by itself; resolves with whether it has moved. */
  async letGo(connection: LiveConnection, wish: Wish, state: State): Promise<boolean> {
    if (this.#leaving.has(connection)) return false;
    this.#leaving.add(connection);
    try {
      return (await this.#move(connection, wish, state)) === undefined;
    } finally {
      this.#leaving.delete(connection);
    }
  }

  async #move(connection: LiveConnection, wish: Wish, state: State): Promise<StayReason | undefined> {
    const { socket } = connection;
    const raw = this.options.isRaw(connection);
    // Without state the next agent would take it for HTTP.
    if (!raw && !isSome(state)) return 'not_movable';
    if (!(await until(socket, () => isDelivered(socket)))) return 'not_movable';
    stopReading(socket);
    await this.#quiet(connection);
    if (socket.destroyed || socket.writableEnded) return 'not_movable';
    const held = (socket.read() as Buffer | null) ?? NOTHING;
    const departure = { connection, wish, held, state, flags: raw ? RAW : 0 };
    return new Promise((resolve) => {
      const stayed = (reason: StayReason): void => {
        giveBack(socket, held);
        resolve(reason);
      };
      const refused = this.options.handBacks.begin(departure, { moved: () => resolve(undefined), stayed });
      if (refused !== undefined) stayed(refused);
    });
  }

  async #quiet({ socket }: LiveConnection): Promise<void> {
    const deadline = performance.now() + MOST_UNQUIET_MS;
    while (performance.now() < deadline) {
      const fd = descriptorOf(socket);
      if (fd === undefined || sinceReceived(fd) >= (unreadBytes(fd) > 0 ? PAUSE_MS : QUIET_MS)) return;
      await sleep(LOOK_MS);
    }
  }
}

function isSome(state: State): boolean {
  return state !== undefined && state.length > 0;
}

/** The undo of having taken out what a socket held unread. */
function giveBack(socket: Socket, held: Buffer): void {
  if (socket.destroyed) return;
  if (held.length > 0) socket.unshift(held);
  startReading(socket, true);
}

/** Waits until something holds of what was written to a socket; false where it is gone, or the time. */
async function until(socket: Socket, holds: () => boolean): Promise<boolean> {
  const deadline = performance.now() + DELIVERED_MS;
  while (!holds() && !socket.destroyed && performance.now() < deadline) await sleep(LOOK_MS);
  return holds() && !socket.destroyed;
}

async function inTime(state: State | Promise<State>): Promise<State> {
  const late = sleep(STATE_MS, undefined, { ref: false }).then(() => {
    throw new Error(`onMove has not come to an end after ${STATE_MS} ms`);
  });
  return Promise.race([state, late]);
}
