import type { Socket } from 'node:net';
import type { HandoffId } from '../steer/flow-table';
import type { FlowRecord } from '../steer/flow-table';

/** An adopted connection that this agent serves. */
export interface LiveConnection extends FlowRecord {
  /** Node name of the front that handed it over. */
  readonly front: string;
  readonly socket: Socket;
  /** performance.now() when it went live. */
  readonly since: number;
}

/** Every adopted connection, from COMMIT until its socket is closed: the truth about flows. */
export class LiveConnections implements Iterable<LiveConnection> {
  readonly #live = new Set<LiveConnection>();
  /** The latest of each flow: the one before it may not have been told yet that it is over. */
  readonly #latest = new Map<string, LiveConnection>();
  #closedBytes = 0;

  constructor(private readonly onClosed: (connection: LiveConnection) => void) {}

  add(flow: Buffer, id: HandoffId, front: string, socket: Socket): LiveConnection {
    const connection: LiveConnection = { flow, id, front, socket, since: performance.now() };
    const key = flow.toString('latin1');
    this.#live.add(connection);
    this.#latest.set(key, connection);
    socket.once('close', () => {
      this.#live.delete(connection);
      if (this.#latest.get(key) === connection) this.#latest.delete(key);
      this.#closedBytes += socket.bytesWritten;
      this.onClosed(connection);
    });
    return connection;
  }

  /** Node name of the front that handed over the live connection of a flow (Latin-1 text of its bytes), if there is one. */
  holderOf(flow: string): string | undefined {
    return this.#latest.get(flow)?.front;
  }

  get size(): number {
    return this.#live.size;
  }

  /** Octets written to clients by all adopted connections so far. */
  get bytesWritten(): number {
    let total = this.#closedBytes;
    for (const { socket } of this.#live) total += socket.bytesWritten;
    return total;
  }

  [Symbol.iterator](): Iterator<LiveConnection> {
    return this.#live[Symbol.iterator]();
  }
}
