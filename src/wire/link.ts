import { connect, type Socket } from 'node:net';
import type { HandoffId } from '../steer/flow-table';
import { Channel } from './channel';
import * as frames from './frames';
import { decodeAgentHello, encodeFrontHello, type AgentHello, type FrontHello } from './hello';

/** Waits between attempts to connect: quick at first, because an agent's restart takes a second. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 3000;
/** An agent that is there answers its HELLO at once; one that is not must not hold the attempt for ever. */
const CONNECT_TIMEOUT_MS = 3000;

export interface LinkEvents {
  /** The agent said hello: offers are welcome. */
  onUp?(hello: AgentHello): void;
  /** The channel is gone; every offer on it that was not committed is void. */
  onDown?(cause: string): void;
  onPrepared?(id: HandoffId): void;
  onRejected?(id: HandoffId, reason: frames.RejectReason): void;
  /** A part of the agent's list of live flows; `last` ends it. */
  onFlows?(flows: FlowRecord[], last: boolean): void;
  onClosed?(flows: FlowRecord[]): void;
}

export interface FlowRecord {
  readonly flow: Buffer;
  readonly id: HandoffId;
}

/** A front's end of the control channel to one agent: connects, says hello, and connects again for ever. */
export class Link {
  #channel: Channel | undefined;
  #hello: AgentHello | undefined;
  #retryMs = FIRST_RETRY_MS;
  #retryTimer: NodeJS.Timeout | undefined;
  #stopped = false;
  #lastCause = 'not connected yet';
  /** Resolves when the first attempt has come to an end, good or bad. */
  readonly settled: Promise<void>;
  #settle: () => void = () => undefined;

  constructor(
    readonly endpoint: { readonly host: string; readonly port: number },
    readonly self: FrontHello,
    readonly events: LinkEvents,
  ) {
    this.settled = new Promise((resolve) => (this.#settle = resolve));
  }

  start(): void {
    this.#connect();
  }

  /** Closes the channel for good. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    this.#channel?.close('stopping', 'front is stopping');
  }

  get up(): boolean {
    return this.#hello !== undefined;
  }

  /** Why the link is down, for status and logs. */
  get lastCause(): string {
    return this.#lastCause;
  }

  /** Offers that the agent takes at once; 0 while the link is down. */
  get offerLimit(): number {
    return this.#hello?.offers ?? 0;
  }

  get congested(): boolean {
    return this.#channel?.congested ?? true;
  }

  offer(epoch: number, sequence: number, snapshot: Buffer, length: number): void {
    this.#channel?.sendOffer(epoch, sequence, snapshot, length);
  }

  commit(epoch: number, sequence: number): void {
    this.#channel?.sendId(frames.COMMIT, epoch, sequence);
  }

  abort(epoch: number, sequence: number): void {
    this.#channel?.sendId(frames.ABORT, epoch, sequence);
  }

  #connect(): void {
    const socket: Socket = connect({ host: this.endpoint.host, port: this.endpoint.port, noDelay: true });
    socket.setTimeout(CONNECT_TIMEOUT_MS, () =>
      socket.destroy(new Error(`no hello within ${CONNECT_TIMEOUT_MS} ms`)),
    );
    const channel = new Channel(socket, {
      onFrame: (type, bytes, offset, length) => this.#receive(socket, type, bytes, offset, length),
      onClose: (cause) => this.#lost(channel, cause),
    });
    this.#channel = channel;
    socket.once('connect', () => channel.sendText(frames.HELLO, encodeFrontHello(this.self)));
  }

  #lost(channel: Channel, cause: string): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    this.#lastCause = cause;
    this.#settle();
    const wasUp = this.#hello !== undefined;
    this.#hello = undefined;
    if (!this.#stopped) {
      this.#retryTimer = setTimeout(() => this.#connect(), this.#retryMs * (0.75 + Math.random() / 2));
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    }
    if (wasUp) this.events.onDown?.(cause);
  }

  #receive(socket: Socket, type: number, bytes: Buffer, offset: number, length: number): void {
    if (this.#hello === undefined) {
      if (type !== frames.HELLO) throw new frames.ProtocolError(`frame of type ${type} before HELLO`);
      this.#hello = decodeAgentHello(bytes.toString('utf8', offset, offset + length));
      this.#retryMs = FIRST_RETRY_MS;
      socket.setTimeout(0);
      this.#settle();
      this.events.onUp?.(this.#hello);
      return;
    }
    switch (type) {
      case frames.PREPARED:
        this.events.onPrepared?.(readId(bytes, offset, length));
        return;
      case frames.REJECTED: {
        const reason = frames.REJECT_REASONS[bytes[offset + frames.ID_BYTES] ?? 0];
        this.events.onRejected?.(readId(bytes, offset, length), reason ?? 'unspecified');
        return;
      }
      case frames.CLOSED:
        this.events.onClosed?.(readFlows(bytes, offset, length));
        return;
      case frames.FLOWS:
        this.events.onFlows?.(readFlows(bytes, offset + 1, length - 1), bytes[offset] === 1);
        return;
      default:
        throw new frames.ProtocolError(`an agent does not send frames of type ${type}`);
    }
  }
}

/** Reads the id that begins a payload. */
export function readId(bytes: Buffer, offset: number, length: number): HandoffId {
  if (length < frames.ID_BYTES) throw new frames.ProtocolError('frame without an id');
  return { epoch: bytes.readUInt32BE(offset), sequence: bytes.readUInt32BE(offset + 4) };
}

function readFlows(bytes: Buffer, offset: number, length: number): FlowRecord[] {
  if (length < 0 || length % frames.FLOW_RECORD_BYTES !== 0)
    throw new frames.ProtocolError('flow list of odd length');
  const records: FlowRecord[] = [];
  for (let at = offset; at < offset + length; at += frames.FLOW_RECORD_BYTES) {
    const idAt = at + frames.FLOW_RECORD_BYTES - frames.ID_BYTES;
    records.push({ flow: Buffer.from(bytes.subarray(at, idAt)), id: readId(bytes, idAt, frames.ID_BYTES) });
  }
  return records;
}
