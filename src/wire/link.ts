import { monotonicNs, type FlowRecord, type HandoffId } from '../steer/flow-table';
import { Channel, PEER_SAID } from './channel';
import { dial, type AgentAddress } from './dial';
import * as frames from './frames';
import { KEEP_REASONS, RETURN_REASONS, type KeepReason, type ReturnReason, type Wish } from './hand-back';
import { readFlows, readHandBack, readId, readOctets, readReason, type HandBack } from './records';
import { readReport, type Report } from './report';
import { decodeAgentHello, encodeFrontHello, type AgentHello, type FrontHello } from './hello';

/** Waits between attempts to connect: quick at first, because an agent's restart takes a second. */
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 3000;
/** An agent that is there answers its HELLO at once; one that is not must not hold the attempt for ever. */
const CONNECT_TIMEOUT_MS = 3000;
/** How a channel ends whose agent goes on in another process. */
const BY_SUCCESSION = `${PEER_SAID}${frames.SUCCEEDED}`;
/** How a channel ends whose other end has said nothing. */
const WITHOUT_A_WORD = /^closed|ECONNRESET|EPIPE/;

export interface LinkEvents {
  /** The agent said hello: offers are welcome. */
  onUp?(hello: AgentHello): void;
  /** The channel is gone; every offer on it that was not committed is void. */
  onDown?(cause: string): void;
  /** An attempt to open the channel failed, for another reason than the last one. */
  onFailed?(cause: string): void;
  /** An attempt failed, but the agent's host answered it: it lives. `refused` when nobody listens there. */
  onAnswered?(refused: boolean): void;
  onPrepared?(id: HandoffId): void;
  onRejected?(id: HandoffId, reason: frames.RejectReason): void;
  /** The snapshot lies in `bytes` from `back.snapshotAt` to `end`, for as long as this call takes. */
  onHandBack?(back: HandBack, bytes: Buffer, end: number): void;
  onSettled?(id: HandoffId): void;
  onWithdrawn?(id: HandoffId): void;
  /** As onHandBack, of a connection that goes on as yet. */
  onReserve?(back: HandBack, bytes: Buffer, end: number): void;
  /** It is frozen, and these octets have come on it since; they are the link's, for as long as this call takes. */
  onLeave?(id: HandoffId, octets: Buffer): void;
  /** The agent does not hand back what it was asked for. */
  onKept?(id: HandoffId, reason: KeepReason): void;
  /**
   * A part of the agent's list of live flows; `last` ends it. It is not older than `askedAt`, nanoseconds on
   * CLOCK_MONOTONIC.
   */
  onFlows?(flows: FlowRecord[], last: boolean, askedAt: number): void;
  onClosed?(flows: FlowRecord[]): void;
  /** Copies that were prepared and never lived: if the front has steered their flows, nobody serves them. */
  onVoid?(flows: FlowRecord[]): void;
  /** Only where the front's hello asks for reports. */
  onReport?(report: Report): void;
}

/** A front's end of the control channel to one agent: connects, says hello, and connects again for ever. */
export class Link {
  #channel: Channel | undefined;
  #hello: AgentHello | undefined;
  #retryMs = FIRST_RETRY_MS;
  /** When the lists that are under way were asked for, the next to come first. */
  #askedAt: number[] = [];
  #helloTimer: NodeJS.Timeout | undefined;
  #retryTimer: NodeJS.Timeout | undefined;
  #stopped = false;
  #lastCause = 'not connected yet';
  /** Resolves when the first attempt has come to an end, good or bad. */
  readonly settled: Promise<void>;
  #settle: () => void = () => undefined;

  constructor(
    readonly endpoint: AgentAddress,
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

  /** Does not connect again once the channel is lost. */
  retire(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
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

  /** When the agent was last heard, performance.now(). */
  get heardAt(): number {
    return this.#channel?.heardAt ?? -Infinity;
  }

  /** Asks a keeper's agent for its list of live flows once more. */
  list(): void {
    if (this.#hello === undefined) return;
    this.#askedAt.push(monotonicNs());
    this.#channel?.sendEmpty(frames.LIST);
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

  /** For an agent that judges (its hello), before the first offer. */
  sendRoutes(table: string): void {
    this.#channel?.sendText(frames.ROUTES, table);
  }

  /** Whether the agent wants COMMITs with details. */
  get wantsDetails(): boolean {
    return this.#hello?.details === true;
  }

  /** For an agent that `wantsDetails`, see Channel.sendCommit. */
  commitWithDetails(epoch: number, sequence: number, ms: number, names: Buffer): void {
    this.#channel?.sendCommit(epoch, sequence, ms, names);
  }

  abort(epoch: number, sequence: number): void {
    this.#channel?.sendId(frames.ABORT, epoch, sequence);
  }

  taken({ epoch, sequence }: HandoffId): void {
    this.#channel?.sendId(frames.TAKEN, epoch, sequence);
  }

  returned({ epoch, sequence }: HandoffId, reason: ReturnReason): void {
    this.#channel?.sendReason(frames.RETURNED, epoch, sequence, RETURN_REASONS.indexOf(reason));
  }

  /** A place is reserved for a connection that the agent will hand back. */
  reserved({ epoch, sequence }: HandoffId): void {
    this.#channel?.sendId(frames.RESERVED, epoch, sequence);
  }

  /** More octets for the receive queue of an offer that the agent has prepared. */
  append(epoch: number, sequence: number, octets: Buffer): void {
    this.#channel?.sendOctets(frames.APPEND, { epoch, sequence }, octets);
  }

  /** Asks for a live connection; it comes back, or onKept says why not. */
  move({ flow, id }: FlowRecord, wish: Wish): void {
    this.#channel?.sendMove(flow, id, wish);
  }

  #connect(): void {
    let opened = false;
    const stream = dial(this.endpoint, () => {
      opened = true;
      this.#askedAt = [monotonicNs()];
      channel.sendText(frames.HELLO, encodeFrontHello(this.self));
    });
    // Before the channel's own listener, which ends the attempt.
    stream.once('error', ({ code }: NodeJS.ErrnoException) => {
      if (code === 'ECONNREFUSED') this.events.onAnswered?.(true);
    });
    stream.once('connect', () => this.events.onAnswered?.(false));
    const channel = new Channel(stream, {
      onFrame: (type, bytes, offset, length) => this.#receive(type, bytes, offset, length),
      onClose: (cause) => this.#lost(channel, opened ? this.#whyLost(cause) : cause),
    });
    this.#channel = channel;
    // Not the socket's idle timeout: the channel's own pings would put that off.
    this.#helloTimer = setTimeout(
      () => channel.close(`no hello within ${CONNECT_TIMEOUT_MS} ms`),
      CONNECT_TIMEOUT_MS,
    );
  }

  /** An agent that refuses a front before its hello may do so without a word. */
  #whyLost(cause: string): string {
    if (this.#hello !== undefined || !WITHOUT_A_WORD.test(cause)) return cause;
    const guess = this.endpoint.tls
      ? "it may refuse this front's certificate"
      : 'it may want TLS (control.tls)';
    return `${cause} before its hello: ${guess}, its log says why`;
  }

  #lost(channel: Channel, cause: string): void {
    if (this.#channel !== channel) return;
    this.#channel = undefined;
    clearTimeout(this.#helloTimer);
    const news = cause !== this.#lastCause;
    this.#lastCause = cause;
    this.#settle();
    const wasUp = this.#hello !== undefined;
    this.#hello = undefined;
    if (!this.#stopped) {
      const waitMs = cause === BY_SUCCESSION ? 0 : this.#retryMs * (0.75 + Math.random() / 2);
      this.#retryTimer = setTimeout(() => this.#connect(), waitMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    }
    if (wasUp) this.events.onDown?.(cause);
    else if (news && !this.#stopped) this.events.onFailed?.(cause);
  }

  /** With TLS an agent is who its certificate says; what it calls itself must not be another. */
  #checked(hello: AgentHello): AgentHello {
    const { tls } = this.endpoint;
    if (tls !== undefined && hello.node !== tls.name)
      throw new frames.ProtocolError(`hello: the agent ${tls.name} calls itself ${hello.node}`);
    return hello;
  }

  #receive(type: number, bytes: Buffer, offset: number, length: number): void {
    if (this.#hello === undefined) {
      if (type !== frames.HELLO) throw new frames.ProtocolError(`frame of type ${type} before HELLO`);
      this.#hello = this.#checked(decodeAgentHello(bytes.toString('utf8', offset, offset + length)));
      this.#retryMs = FIRST_RETRY_MS;
      clearTimeout(this.#helloTimer);
      this.#settle();
      this.events.onUp?.(this.#hello);
      return;
    }
    switch (type) {
      case frames.PREPARED:
        this.events.onPrepared?.(readId(bytes, offset, length));
        return;
      case frames.REJECTED:
        this.events.onRejected?.(
          readId(bytes, offset, length),
          readReason(bytes, offset, length, frames.REJECT_REASONS),
        );
        return;
      case frames.HANDBACK:
        this.events.onHandBack?.(readHandBack(bytes, offset, length), bytes, offset + length);
        return;
      case frames.RESERVE:
        this.events.onReserve?.(readHandBack(bytes, offset, length), bytes, offset + length);
        return;
      case frames.LEAVE: {
        const { id, octets } = readOctets(bytes, offset, length);
        this.events.onLeave?.(id, octets);
        return;
      }
      case frames.SETTLED:
        this.events.onSettled?.(readId(bytes, offset, length));
        return;
      case frames.WITHDRAWN:
        this.events.onWithdrawn?.(readId(bytes, offset, length));
        return;
      case frames.KEPT:
        this.events.onKept?.(readId(bytes, offset, length), readReason(bytes, offset, length, KEEP_REASONS));
        return;
      case frames.CLOSED:
        this.events.onClosed?.(readFlows(bytes, offset, length));
        return;
      case frames.VOID:
        this.events.onVoid?.(readFlows(bytes, offset, length));
        return;
      case frames.REPORT:
        this.events.onReport?.(readReport(bytes, offset, length));
        return;
      case frames.FLOWS:
        this.#flows(readFlows(bytes, offset + 1, length - 1), bytes[offset] === 1);
        return;
      default:
        throw new frames.ProtocolError(`an agent does not send frames of type ${type}`);
    }
  }

  #flows(flows: FlowRecord[], last: boolean): void {
    const [askedAt] = this.#askedAt;
    if (askedAt === undefined) throw new frames.ProtocolError('a list of flows that nobody has asked for');
    if (last) this.#askedAt.shift();
    this.events.onFlows?.(flows, last, askedAt);
  }
}
