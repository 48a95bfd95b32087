import type { Socket } from 'node:net';
import { descriptorOf } from '../kernel/node-socket';
import { unacknowledgedBytes } from '../kernel/socket';
import { sameHandoff, type FlowRecord, type HandoffId } from '../steer/flow-table';
import type { HandoffDetails } from '../wire/handoff-details';

/** An adopted connection that this agent serves. */
export interface LiveConnection extends FlowRecord {
  /** Node name of the front that handed it over. */
  readonly front: string;
  readonly socket: Socket;
  /** performance.now() when it went live. */
  readonly since: number;
  /** What that front knows of the handoff, where this agent has asked for it. */
  readonly details?: HandoffDetails | undefined;
  /** It has had requests before it came to this process. */
  readonly asked?: boolean | undefined;
}

/** Of a connection that was live in the process before this one. */
export interface EarlierLife {
  readonly ageMs: number;
  readonly asked: boolean;
}

interface Watched extends LiveConnection {
  /** Its client had acknowledged everything, the end included, when its own end came. */
  delivered: boolean;
}

const NO_EARLIER_LIFE: EarlierLife = { ageMs: 0, asked: false };

/** Every adopted connection, from COMMIT until its socket is closed: the truth about flows. */
export class LiveConnections implements Iterable<LiveConnection> {
  readonly #live = new Set<LiveConnection>();
  /** The latest of each flow: the one before it may not have been told yet that it is over. */
  readonly #latest = new Map<string, LiveConnection>();
  #closedBytes = 0;

  /** @param onClosed `delivered` tells that the client is known to have everything; else that is to be seen. */
  constructor(private readonly onClosed: (connection: LiveConnection, delivered: boolean) => void) {}

  add(
    flow: Buffer,
    id: HandoffId,
    front: string,
    socket: Socket,
    details?: HandoffDetails,
    { ageMs, asked }: EarlierLife = NO_EARLIER_LIFE,
  ): LiveConnection {
    const since = performance.now() - ageMs;
    const connection: Watched = { flow, id, front, socket, since, details, asked, delivered: false };
    const key = flow.toString('latin1');
    this.#live.add(connection);
    this.#latest.set(key, connection);
    // Where the server closes first, its client's end is most often an answer to all there was to read: one look here saves
    // the agent from asking for the closed socket later (undelivered.ts).
    socket.once('end', () => (connection.delivered = isDelivered(socket)));
    socket.once('close', () => {
      if (this.#remove(connection)) this.onClosed(connection, connection.delivered);
    });
    return connection;
  }

  /** It lives elsewhere from here on: its socket's close is nobody's business. */
  forget(connection: LiveConnection): void {
    this.#remove(connection);
  }

  #remove(connection: LiveConnection): boolean {
    if (!this.#live.delete(connection)) return false;
    const key = connection.flow.toString('latin1');
    if (this.#latest.get(key) === connection) this.#latest.delete(key);
    this.#closedBytes += connection.socket.bytesWritten;
    return true;
  }

  /** The live connection of a flow that this handoff brought here. */
  find({ flow, id }: FlowRecord): LiveConnection | undefined {
    const connection = this.#latest.get(flow.toString('latin1'));
    return connection !== undefined && sameHandoff(connection.id, id) ? connection : undefined;
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

/** Whether the client has acknowledged everything, and the end of it. */
function isDelivered(socket: Socket): boolean {
  const fd = descriptorOf(socket);
  return socket.writableFinished && fd !== undefined && unacknowledgedBytes(fd) === 0;
}
