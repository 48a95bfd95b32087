import { setTimeout as sleep } from 'node:timers/promises';
import { clientOf, vipOf } from '../kernel/flow';
import { cutOff } from '../kernel/node-socket';
import type { LiveConnection } from './live-connections';
import { TcpConnection, type Adopt, type State } from './tcp-connection';

/** Moves a live connection to another agent; resolves with whether it has moved. */
export type LetGo = (connection: LiveConnection, state: State) => Promise<boolean>;

/** How often those that are left are looked at. */
const DRAIN_POLL_MS = 20;
/** How long a client that has been told the end may take to close its side, and a slow one to take what is written. */
const LAST_MS = 1000;

/** Connections as applications have them, and which of them were given to an application by `adopt`: no server has those. */
export class TcpConnections {
  readonly #views = new WeakMap<LiveConnection, TcpConnection>();
  readonly #given = new Set<LiveConnection>();

  /** @param failed an application could not adopt a connection, which is broken off. */
  constructor(
    private readonly letGo: LetGo,
    private readonly failed: (connection: LiveConnection, cause: unknown) => void,
  ) {}

  /** How many applications have by `adopt`. */
  get size(): number {
    return this.#given.size;
  }

  /** Whether an application has it: by `adopt`, or by having said how it moves. */
  has(live: LiveConnection): boolean {
    return this.#given.has(live) || this.#views.get(live)?.onMove !== undefined;
  }

  /** A connection as its application has it: the same object each time. */
  of(live: LiveConnection): TcpConnection {
    let view = this.#views.get(live);
    if (view === undefined) {
      const { socket, flow } = live;
      view = new TcpConnection(socket, clientOf(flow), vipOf(flow), (state) => this.letGo(live, state));
      this.#views.set(live, view);
    }
    return view;
  }

  /** Gives a connection to an application. */
  give(live: LiveConnection, adopt: Adopt, state: State): void {
    const { socket } = live;
    // A client that resets its connection must not end the agent, whether the application listens or not.
    socket.on('error', ignore);
    this.#given.add(live);
    socket.once('close', () => this.#given.delete(live));
    const adopting = async (): Promise<void> => adopt(this.of(live), state);
    adopting().catch((cause: unknown) => {
      this.failed(live, cause);
      cutOff(socket);
    });
  }

  /**
   * Lets connections go on while there are `busy` ones, until `deadline` (performance.now()), and ends those that are left then:
   * by FIN behind what is written, or by RST where a client does not take that, so that no part is taken for the whole.
   */
  async drain(deadline: number, busy = (): boolean => this.size > 0): Promise<void> {
    while (busy() && performance.now() < deadline) await sleep(DRAIN_POLL_MS);
    const left = [...this.#given];
    for (const { socket } of left) {
      socket.end();
      // A client's end is seen by who reads, and a pipe has just stopped.
      socket.resume();
      socket.once('finish', () => socket.resume());
      // What an application still says has come too late; an error would throw away what it has said before.
      socket.write = () => true;
      socket.end = () => socket;
    }
    const last = performance.now() + LAST_MS;
    while (left.some(({ socket }) => !socket.destroyed) && performance.now() < last)
      await sleep(DRAIN_POLL_MS);
    for (const { socket } of left) {
      if (socket.writableFinished) socket.destroy();
      else cutOff(socket);
    }
  }
}

function ignore(): void {
  // The end of the connection says it all.
}
