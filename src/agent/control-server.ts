import type { Socket } from 'node:net';
import type { Logger } from 'pino';
import type { ControlSecurity, ControlTls, Endpoint } from '../config/model';
import { FLOW_BYTES, formatFlow } from '../kernel/flow';
import { listeningDescriptor } from '../kernel/node-socket';
import { LogThrottle } from '../observe/log-throttle';
import { FLOW } from '../repair/layout';
import { Channel } from '../wire/channel';
import * as frames from '../wire/frames';
import { MOST_HANDSHAKES, openGate, type Gate, type Peer } from '../wire/gate';
import { decodeFrontHello, encodeAgentHello, type AgentHello, type FrontHello } from '../wire/hello';
import type { FlowRecord, HandoffId } from '../steer/flow-table';
import {
  KEEP_REASONS,
  RETURN_REASONS,
  type KeepReason,
  type ReturnReason,
  type Wish,
} from '../wire/hand-back';
import { readCommit, readId, readMove, readOctets, readReason } from '../wire/records';
import type { Report, ResponseCounts } from '../wire/report';
import type { Adopter } from './adopter';
import { Estate } from './estate';
import { FrontRules } from './front-rules';
import type { FrontLine } from './hand-backs';
import { MOST_PREPARED, PreparedOffers } from './prepared-offers';
import { RejectedOffer } from './rejected-offer';
import { Reports } from './reports';

/** Fronts times their accepting threads, twice over for reconnects: far more than a cluster has. */
const MOST_CHANNELS = 1024;
/** A front says hello at once. */
const HELLO_TIMEOUT_MS = 3000;
/** Closed flows are reported together: nothing depends on hearing of one sooner, since entries linger anyway. */
const REPORT_MS = 20;
/** How often offers are looked at that their front has not decided upon. */
const OVERDUE_SWEEP_MS = 5000;

interface FrontChannel {
  readonly peer: Peer;
  readonly channel: Channel;
  readonly prepared: PreparedOffers;
  /** COMMITs that were read. */
  commits: number;
  /** Ends a channel that does not say hello. */
  readonly helloTimer: NodeJS.Timeout;
  /** Where its front takes connections back. */
  readonly line: FrontLine;
  hello?: FrontHello;
  reports?: Reports;
}

/** What fronts say of connections that live here. */
export interface LiveEvents {
  /** One that was handed back lives elsewhere. */
  taken(line: FrontLine, id: HandoffId): void;
  returned(line: FrontLine, id: HandoffId, reason: ReturnReason): void;
  /** There is a place for one that will be handed back. */
  reserved(line: FrontLine, id: HandoffId): void;
  lineLost(line: FrontLine): void;
  /** A front, by its node name, asks for one; `kept` is to be called where it stays. */
  move(front: string, record: FlowRecord, wish: Wish, kept: (reason: KeepReason) => void): void;
}

/** Who hears of what has ended here, in the place of keepers. */
export interface Heir {
  closed(records: readonly FlowRecord[]): void;
  voided(records: readonly FlowRecord[]): void;
}

/** The agent's end of the control protocol: takes offers from fronts and tells their keepers what has closed. */
export class ControlServer {
  readonly #gate: Gate;
  readonly #channels = new Set<FrontChannel>();
  readonly rules = new FrontRules();
  #closed: FlowRecord[] = [];
  #void: FlowRecord[] = [];
  #reportTimer: NodeJS.Timeout | undefined;
  #draining = false;
  readonly #throttle = new LogThrottle();
  readonly #sweeper: NodeJS.Timeout;
  #heir: Heir | undefined;

  constructor(
    private readonly self: Omit<AgentHello, 'offers'>,
    { tls }: ControlSecurity,
    private readonly adopter: Adopter,
    private readonly responses: ResponseCounts,
    private readonly logger: Logger,
    private readonly undelivered: Iterable<FlowRecord>,
    private readonly events: LiveEvents,
    /** What lives on this host beside what is live here. */
    private readonly estate = new Estate(),
  ) {
    this.#gate = openGate(tls, {
      admitted: (socket, peer) => this.#accept(socket, peer),
      refused: (peer, cause, kind) => this.#logRefused(peer, cause, kind),
    });
    this.#gate.server.maxConnections = MOST_CHANNELS + MOST_HANDSHAKES;
    this.#sweeper = setInterval(() => {
      for (const { prepared } of this.#channels) prepared.discardOverdue();
    }, OVERDUE_SWEEP_MS).unref();
  }

  /** Binds the control address, or listens on a socket that is bound to it; throws an Error that names it. */
  async listen({ host, port }: Endpoint, fd?: number): Promise<void> {
    const { server } = this.#gate;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause) =>
        reject(new Error(`control.listen ${host}:${port}: ${cause.message}`, { cause })),
      );
      server.listen(fd === undefined ? { port, host } : { fd }, resolve);
    });
    // From now on errors are those of accept(2), descriptors that ran out above all: they pass.
    server.removeAllListeners('error');
    server.on('error', (error) => this.logger.error({ cause: error.message }, 'cannot accept a channel'));
  }

  /** Says that a live connection is over. */
  reportClosed(record: FlowRecord): void {
    this.#closed.push({ flow: record.flow, id: record.id });
    this.#planReport();
  }

  /** Says that a prepared copy will never live. */
  reportVoid(record: FlowRecord): void {
    this.#void.push(record);
    this.#planReport();
  }

  /** Whether fronts are asked for no more connections. What they offer all the same, before they have heard, is taken. */
  get draining(): boolean {
    return this.#draining;
  }

  set draining(draining: boolean) {
    this.#draining = draining;
    for (const { reports } of this.#channels) reports?.tell();
  }

  /** Offers that wait for a decision, over all channels. */
  get prepared(): number {
    let total = 0;
    for (const { prepared } of this.#channels) total += prepared.size;
    return total;
  }

  /** Where connections of a front can be handed back to now: to its newest channel, because an older one may be on its way out. */
  lineTo(node: string): FrontLine | undefined {
    let found: FrontLine | undefined;
    for (const { hello, line } of this.#channels)
      if (hello?.role === 'offers' && hello.node === node) found = line;
    return found;
  }

  fronts(): { node: string; role: string; prepared: number }[] {
    return [...this.#channels].flatMap(({ hello, prepared }) =>
      hello === undefined ? [] : [{ node: hello.node, role: hello.role, prepared: prepared.size }],
    );
  }

  /** The listening socket, for a successor; undefined where there is none. */
  get descriptor(): number | undefined {
    return listeningDescriptor(this.#gate.server);
  }

  /**
   * Leaves the fronts to another process, which has the listening socket: their channels are closed, for them to be opened
   * there, and what ends here is told to `heir`. `listen` and `takeBack` are the undo.
   */
  leave(heir: Heir): void {
    clearTimeout(this.#reportTimer);
    this.#report();
    this.#heir = heir;
    this.#gate.server.close();
    for (const { channel } of this.#channels) channel.close('succeeded', frames.SUCCEEDED);
  }

  takeBack(): void {
    this.#heir = undefined;
  }

  close(): void {
    clearInterval(this.#sweeper);
    clearTimeout(this.#reportTimer);
    this.#report();
    this.#gate.server.close();
    for (const { channel } of this.#channels) channel.close('stopping', 'agent is stopping');
  }

  /**
   * Takes over other certificates and another list of fronts, and closes the channels of those that could not open them
   * again; what they have prepared is discarded, what is live stays. Returns how many it closed; throws an Error before
   * anything has changed.
   */
  renew(tls: ControlTls): number {
    this.#gate.renew(tls);
    let closed = 0;
    for (const { channel, peer, hello } of [...this.#channels]) {
      const objection = this.#gate.objection(peer, hello?.node);
      if (objection === undefined) continue;
      channel.close(objection, objection);
      closed += 1;
    }
    return closed;
  }

  #accept(socket: Socket, peer: Peer): void {
    if (this.#channels.size >= MOST_CHANNELS) {
      this.#logRefused(peer.address, `all ${MOST_CHANNELS} channels are in use`, 'crowd');
      socket.destroy();
      return;
    }
    const channel = new Channel(socket, {
      onFrame: (type, bytes, offset, length) => this.#receive(front, type, bytes, offset, length),
      onClose: (cause) => {
        clearTimeout(front.helloTimer);
        front.reports?.stop();
        this.#channels.delete(front);
        front.prepared.channelLost();
        this.events.lineLost(front.line);
        if (front.hello === undefined) this.#logRefused(peer.address, cause, 'hello');
        else
          this.logger.info(
            { peer: peer.address, front: front.hello.node, role: front.hello.role, cause },
            'channel closed',
          );
      },
    });
    const helloTimer = setTimeout(() => channel.close('no hello', 'no hello in time'), HELLO_TIMEOUT_MS);
    const prepared = new PreparedOffers(this.adopter);
    const front: FrontChannel = { peer, channel, prepared, helloTimer, commits: 0, line: lineOf(channel) };
    this.#channels.add(front);
  }

  #receive(front: FrontChannel, type: number, bytes: Buffer, offset: number, length: number): void {
    if (front.hello === undefined) {
      if (type !== frames.HELLO) throw new frames.ProtocolError(`frame of type ${type} before HELLO`);
      this.#greet(front, decodeFrontHello(bytes.toString('utf8', offset, offset + length)));
      return;
    }
    switch (type) {
      case frames.OFFER:
        this.#offer(front, front.hello.node, bytes, offset, length);
        return;
      case frames.COMMIT: {
        front.commits += 1;
        const { id, details } = readCommit(bytes, offset, length);
        front.prepared.commit(id, front.hello.node, details);
        return;
      }
      case frames.ABORT:
        front.prepared.abort(readId(bytes, offset, length));
        return;
      case frames.ROUTES:
        this.#learn(front, front.hello, bytes.subarray(offset, offset + length));
        return;
      case frames.TAKEN:
        this.events.taken(front.line, readId(bytes, offset, length));
        return;
      case frames.RETURNED:
        this.events.returned(
          front.line,
          readId(bytes, offset, length),
          readReason(bytes, offset, length, RETURN_REASONS),
        );
        return;
      case frames.RESERVED:
        this.events.reserved(front.line, readId(bytes, offset, length));
        return;
      case frames.APPEND: {
        const { id, octets } = readOctets(bytes, offset, length);
        front.prepared.append(id, octets);
        return;
      }
      case frames.MOVE:
        this.#move(front, front.hello.node, bytes, offset, length);
        return;
      case frames.LIST:
        this.#listAgain(front);
        return;
      default:
        throw new frames.ProtocolError(`a front does not send frames of type ${type}`);
    }
  }

  #move({ channel }: FrontChannel, node: string, bytes: Buffer, offset: number, length: number): void {
    const { wish, ...record } = readMove(bytes, offset, length);
    const { epoch, sequence } = record.id;
    this.events.move(node, record, wish, (reason) =>
      channel.sendReason(frames.KEPT, epoch, sequence, KEEP_REASONS.indexOf(reason)),
    );
  }

  #learn({ prepared }: FrontChannel, { node, role }: FrontHello, payload: Buffer): void {
    if (role !== 'offers')
      throw new frames.ProtocolError('only who offers connections may say how they are judged');
    // To put them together takes up to a second, so once is enough.
    if (prepared.rules !== undefined) throw new frames.ProtocolError('routes for the second time');
    prepared.rules = this.rules.open(node, payload);
  }

  #listAgain(front: FrontChannel): void {
    if (front.hello?.role !== 'keeper') throw new frames.ProtocolError('only a keeper may ask for a list');
    if (front.channel.congested)
      throw new frames.ProtocolError('lists are asked for faster than they are read');
    this.#listFlows(front);
  }

  #greet(front: FrontChannel, hello: FrontHello): void {
    const objection = this.#gate.objection(front.peer, hello.node);
    if (objection !== undefined) throw new frames.ProtocolError(objection);
    front.hello = hello;
    clearTimeout(front.helloTimer);
    this.logger.info({ front: hello.node, role: hello.role }, 'channel opened');
    front.channel.sendText(frames.HELLO, encodeAgentHello({ ...this.self, offers: MOST_PREPARED }));
    // Before a long list: whether it wants connections should be known as soon as it could get them.
    if (hello.reportMs !== undefined) {
      front.reports = new Reports(front.channel, hello.reportMs, () => this.#reportTo(front));
    }
    if (hello.role === 'keeper') this.#listFlows(front);
  }

  #reportTo({ commits }: FrontChannel): Report {
    const { responses, serverErrors, totalMs } = this.responses;
    const connections = this.adopter.options.live.size + this.estate.size;
    return { connections, commits, responses, serverErrors, totalMs, draining: this.#draining };
  }

  #offer(front: FrontChannel, node: string, bytes: Buffer, offset: number, length: number): void {
    const { epoch, sequence } = readId(bytes, offset, length);
    const at = offset + frames.ID_BYTES;
    try {
      front.prepared.offer({ epoch, sequence }, bytes, at, length - frames.ID_BYTES, node);
      front.channel.sendId(frames.PREPARED, epoch, sequence);
    } catch (error) {
      if (!(error instanceof RejectedOffer)) throw error;
      front.channel.sendRejected(epoch, sequence, error.reason);
      this.#logRejected(error, bytes, at);
    }
  }

  /**
   * Every live flow, those that the process before this one has, those that have something left to deliver, and the prepared
   * ones, which their front may have steered already. Flows of other fronts are not left out: a front may come back under another name, and one that has no entry for
   * a flow ignores it.
   */
  #listFlows(keeper: FrontChannel): void {
    const flows: FlowRecord[] = [...this.adopter.options.live, ...this.estate, ...this.undelivered];
    for (const { prepared } of this.#channels) flows.push(...prepared.flows());
    for (let at = 0; ; at += frames.MAX_FLOW_RECORDS) {
      const last = at + frames.MAX_FLOW_RECORDS >= flows.length;
      keeper.channel.sendFlows(frames.FLOWS, flows.slice(at, at + frames.MAX_FLOW_RECORDS), last);
      if (last) return;
    }
  }

  #planReport(): void {
    this.#reportTimer ??= setTimeout(this.#report, REPORT_MS);
  }

  readonly #report = (): void => {
    this.#reportTimer = undefined;
    const [closed, voided] = [this.#closed.splice(0), this.#void.splice(0)];
    if (this.#heir === undefined) {
      this.#tellKeepers(frames.CLOSED, closed);
      this.#tellKeepers(frames.VOID, voided);
    } else {
      if (closed.length > 0) this.#heir.closed(closed);
      if (voided.length > 0) this.#heir.voided(voided);
    }
  };

  /** All keepers hear of all flows: one that never had a flow ignores it. */
  #tellKeepers(type: number, flows: readonly FlowRecord[]): void {
    for (let at = 0; at < flows.length; at += frames.MAX_FLOW_RECORDS) {
      const part = flows.slice(at, at + frames.MAX_FLOW_RECORDS);
      for (const { channel, hello } of this.#channels) {
        if (hello?.role === 'keeper') channel.sendFlows(type, part);
      }
    }
  }

  /** A peer that never was a front. Anybody who reaches the port can cause these lines, so each kind has its own throttle. */
  #logRefused(peer: string, cause: string, kind: 'handshake' | 'certificate' | 'hello' | 'crowd'): void {
    if (this.#throttle.allows(`refused ${kind}`)) this.logger.warn({ peer, cause }, 'channel refused');
  }

  #logRejected(error: RejectedOffer, bytes: Buffer, at: number): void {
    if (!this.#throttle.allows(error.reason)) return;
    const flow = bytes.length >= at + FLOW + FLOW_BYTES ? formatFlow(bytes, at + FLOW) : undefined;
    this.logger.warn({ flow, reason: error.reason, detail: error.message }, 'offer rejected');
  }
}

function lineOf(channel: Channel): FrontLine {
  return {
    handBack: (id, wish, snapshot, length) =>
      channel.sendHandBack(frames.HANDBACK, id, wish, snapshot, length),
    reserve: (id, wish, snapshot, length) => channel.sendHandBack(frames.RESERVE, id, wish, snapshot, length),
    leave: (id, octets) => channel.sendOctets(frames.LEAVE, id, octets),
    settled: ({ epoch, sequence }) => channel.sendId(frames.SETTLED, epoch, sequence),
    withdrawn: ({ epoch, sequence }) => channel.sendId(frames.WITHDRAWN, epoch, sequence),
  };
}
