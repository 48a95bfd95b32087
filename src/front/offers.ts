import type { HandoffId } from '../steer/flow-table';
import type { RejectReason } from '../wire/frames';
import type { AgentAddress } from '../wire/dial';
import { Link } from '../wire/link';
import type { Report } from '../wire/report';
import type { Handoff } from './handoff';
import type { HandoffIds } from './handoff-ids';

/**
 * How old an agent's report may be: what came and went since is missing in it, but what this thread has handed over is not.
 */
const REPORT_MS = 100;

/** What becomes of an offer; the handoff engine listens. */
export interface OfferEvents {
  prepared(handoff: Handoff): void;
  rejected(handoff: Handoff, reason: RejectReason): void;
  lost(handoff: Handoff): void;
  /** Commits that were under way may not have arrived. */
  channelLost(offers: Offers): void;
}

/**
 * The offers of one accepting thread to one agent. An offer is pending from `make` until it is answered, withdrawn or
 * lost with the channel; each handoff has at most one.
 */
export class Offers {
  readonly #link: Link;
  readonly #pending = new Map<number, Handoff>();
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
        onPrepared: (id) => this.#prepared(id),
        onRejected: (id, reason) => {
          const handoff = this.#take(id);
          if (handoff !== undefined) this.events.rejected(handoff, reason);
        },
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
    if (this.#report === undefined) return this.#pending.size;
    const { connections, commits } = this.#report;
    return connections + ((this.#commits - commits) >>> 0) + this.#pending.size;
  }

  /** Offers a connection; the agent's answer, or the loss of the channel, comes as an event. */
  make(handoff: Handoff, snapshot: Buffer, length: number): void {
    handoff.sequence = this.ids.next();
    this.#pending.set(handoff.sequence, handoff);
    this.#link.offer(this.ids.epoch, handoff.sequence, snapshot, length);
  }

  /** The commit point: the agent owns the connection. Only from within `prepared`. */
  commit(handoff: Handoff): void {
    this.#commits += 1;
    const { sequence, startedAt, forwarding, pool } = handoff;
    if (!this.#link.wantsDetails) this.#link.commit(this.ids.epoch, sequence);
    else {
      const ms = performance.now() - startedAt;
      this.#link.commitWithDetails(this.ids.epoch, sequence, ms, forwarding.namesWith(pool));
    }
  }

  /** The front keeps the connection: what the agent has prepared is void. */
  withdraw(handoff: Handoff): void {
    this.#pending.delete(handoff.sequence);
    this.#link.abort(this.ids.epoch, handoff.sequence);
  }

  /** The agent did not answer in time: as `withdraw`. */
  overdue(handoff: Handoff): void {
    this.#overdueAt = performance.now();
    this.withdraw(handoff);
  }

  #prepared(id: HandoffId): void {
    const handoff = this.#take(id);
    // Withdrawn meanwhile; ABORT is under way, or the agent makes up answers. Either way there is nothing to do.
    if (handoff !== undefined) this.events.prepared(handoff);
  }

  #take(id: HandoffId): Handoff | undefined {
    if (id.epoch !== this.ids.epoch) return undefined;
    const handoff = this.#pending.get(id.sequence);
    if (handoff !== undefined) this.#pending.delete(id.sequence);
    return handoff;
  }

  #channelLost(): void {
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    this.#losses += 1;
    this.#commits = 0;
    this.#report = undefined;
    this.#judges = false;
    this.events.channelLost(this);
    for (const handoff of lost) this.events.lost(handoff);
  }
}
