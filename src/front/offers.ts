import type { HandoffId } from '../steer/flow-table';
import type { RejectReason } from '../wire/frames';
import type { AgentAddress } from '../wire/dial';
import type { ReturnReason } from '../wire/hand-back';
import { Link } from '../wire/link';
import type { HandBack } from '../wire/records';
import type { Report } from '../wire/report';
import type { HandoffIds } from './handoff-ids';

/**
 * How old an agent's report may be: what came and went since is missing in it, but what this thread has handed over is not.
 */
const REPORT_MS = 100;

/** A connection that is offered; it is told what becomes of that. */
export interface Offered {
  /** Of its last offer. */
  sequence: number;
  /** performance.now() when its way to a backend began. */
  readonly startedAt: number;
  /** Of its route and its pool, encoded for the details of a COMMIT. */
  readonly names: Buffer;
  prepared(): void;
  rejected(reason: RejectReason): void;
  /** The channel is gone, and the offer with it. */
  lost(): void;
}

/** What an agent says beside its answers to offers. */
export interface OfferEvents {
  /** Commits that were under way may not have arrived. */
  channelLost(offers: Offers): void;
  /** It hands a connection back: the snapshot lies in `bytes` from `back.snapshotAt` to `end`, for as long as this call takes. */
  handedBack(offers: Offers, back: HandBack, bytes: Buffer, end: number): void;
  /** Nothing has slipped into what it has handed back. */
  settled(offers: Offers, id: HandoffId): void;
  /** It keeps what it has handed back, or reserved a place for. */
  withdrawn(offers: Offers, id: HandoffId): void;
  /** It wants a place for a connection that it will hand back; the snapshot as for `handedBack`. */
  reserve(offers: Offers, back: HandBack, bytes: Buffer, end: number): void;
  /** It hands that connection back; `octets`, for as long as this call takes, have come since the snapshot. */
  left(offers: Offers, id: HandoffId, octets: Buffer): void;
}

/**
 * The offers of one accepting thread to one agent. An offer is pending from `make` until it is answered, withdrawn or
 * lost with the channel; each connection has at most one.
 */
export class Offers {
  /** Connections that the agent has prepared, and that another one has not handed back as yet. */
  placesFor = 0;
  /** The agent's own connections that have a place elsewhere, or want one. */
  placesOf = 0;
  readonly #link: Link;
  readonly #pending = new Map<number, Offered>();
  /** When an offer last ran out of time, performance.now(). */
  #overdueAt = -Infinity;
  /** Sent on this channel. */
  #commits = 0;
  #losses = 0;
  /** Whether the agent has been sent a table to judge later requests by, on this channel. */
  #judges = false;
  /** The agent's last word on this channel. */
  #report: Report | undefined;

  constructor(
    readonly endpoint: AgentAddress,
    node: string,
    private readonly ids: HandoffIds,
    private readonly events: OfferEvents,
    /** Whether `load` has to be of use: the agent then reports its connections. */
    needsLoad: boolean,
    /** What the agent judges later requests by; undefined where that cannot be sent. */
    table: () => string | undefined,
  ) {
    this.#link = new Link(
      endpoint,
      { role: 'offers', node, ...(needsLoad && { reportMs: REPORT_MS }) },
      {
        onUp: ({ judges }) => {
          const routes = judges && table();
          if (routes === undefined) return;
          this.#link.sendRoutes(routes);
          this.#judges = true;
        },
        onReport: (report) => (this.#report = report),
        onDown: () => this.#channelLost(),
        onPrepared: (id) => this.#take(id)?.prepared(),
        onRejected: (id, reason) => {
          this.#take(id)?.rejected(reason);
        },
        onHandBack: (back, bytes, end) => this.events.handedBack(this, back, bytes, end),
        onSettled: (id) => this.events.settled(this, id),
        onWithdrawn: (id) => this.events.withdrawn(this, id),
        onReserve: (back, bytes, end) => this.events.reserve(this, back, bytes, end),
        onLeave: (id, octets) => this.events.left(this, id, octets),
      },
    );
  }

  /** Connects; resolves when the first attempt has come to an end, good or bad. */
  async start(): Promise<void> {
    this.#link.start();
    await this.#link.settled;
  }

  stop(): void {
    this.#link.stop();
  }

  /** Its thread is on its way out: a channel that is opened anew would pass for that of a newer one. */
  retire(): void {
    this.#link.retire();
  }

  /** Whether an offer can be made now. */
  get open(): boolean {
    return this.answers && this.#pending.size < this.#link.offerLimit && !this.#link.congested;
  }

  /**
   * An agent that let an offer run out of time gets no other until it has been heard: it may hang, and every connection
   * offered to it would wait as long, until the channel's silence ends it.
   */
  get answers(): boolean {
    return this.#link.up && this.#link.heardAt > this.#overdueAt;
  }

  /** Whether as many offers are unanswered, or not even read, as the agent takes at once. */
  get saturated(): boolean {
    return this.#link.up && (this.#pending.size >= this.#link.offerLimit || this.#link.congested);
  }

  /** Whether the agent judges later requests of the connections that it gets. */
  get judges(): boolean {
    return this.#judges;
  }

  /** How often the channel was lost. */
  get losses(): number {
    return this.#losses;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Connections of the agent, those of other fronts and threads included, as it last reported them, and what this thread
   * has committed since or offers at the moment.
   */
  get load(): number {
    // Of an agent that never reports it is not known what has ended.
    const coming = this.#pending.size + this.placesFor;
    if (this.#report === undefined) return coming;
    const { connections, commits } = this.#report;
    return connections + ((this.#commits - commits) >>> 0) + coming;
  }

  /** Offers a connection; the agent's answer, or the loss of the channel, comes as an event. */
  make(offered: Offered, snapshot: Buffer, length: number): void {
    offered.sequence = this.ids.next();
    this.#pending.set(offered.sequence, offered);
    this.#link.offer(this.ids.epoch, offered.sequence, snapshot, length);
  }

  /** The commit point: the agent owns the connection. Only from within `prepared`. */
  commit({ sequence, startedAt, names }: Offered): void {
    this.#commits += 1;
    if (!this.#link.wantsDetails) this.#link.commit(this.ids.epoch, sequence);
    else this.#link.commitWithDetails(this.ids.epoch, sequence, performance.now() - startedAt, names);
  }

  /** Adds to the receive queue of a connection that the agent has prepared; before `commit`. */
  append({ sequence }: Offered, octets: Buffer): void {
    this.#link.append(this.ids.epoch, sequence, octets);
  }

  /** The offered connection stays where it is: what the agent has prepared is void. */
  withdraw({ sequence }: Offered): void {
    this.#pending.delete(sequence);
    this.#link.abort(this.ids.epoch, sequence);
  }

  /** The agent did not answer in time: as `withdraw`. */
  overdue(offered: Offered): void {
    this.#overdueAt = performance.now();
    this.withdraw(offered);
  }

  /** A place is reserved for what the agent will hand back. */
  reserved(id: HandoffId): void {
    this.#link.reserved(id);
  }

  /** What the agent has handed back lives elsewhere now. */
  taken(id: HandoffId): void {
    this.#link.taken(id);
  }

  /** What the agent has handed back stays with it. */
  returned(id: HandoffId, reason: ReturnReason): void {
    this.#link.returned(id, reason);
  }

  /** Undefined where it was withdrawn meanwhile: ABORT is under way, or the agent makes up answers. */
  #take(id: HandoffId): Offered | undefined {
    if (id.epoch !== this.ids.epoch) return undefined;
    const offered = this.#pending.get(id.sequence);
    if (offered !== undefined) this.#pending.delete(id.sequence);
    return offered;
  }

  #channelLost(): void {
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    this.#losses += 1;
    this.#commits = 0;
    this.#report = undefined;
    this.#judges = false;
    this.events.channelLost(this);
    for (const offered of lost) offered.lost();
  }
}
