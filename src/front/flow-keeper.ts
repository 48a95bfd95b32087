/**
 * Removes entries from the flow table when their connections are over.
 *
 * The agents are the store of truth. An agent reports what has closed, and when its channel comes up it lists what
 * lives: entries that it should have listed and did not are over as well (the front was away when they closed, or the
 * agent was restarted). An entry stays for a linger after its last packet, because the backend's kernel still answers
 * for the connection: unacknowledged data, the last FIN, TIME_WAIT. Entries that nobody reports go after `idle`.
 */
import { monotonicNs, sameHandoff, type FlowTable, type HandoffId } from '../steer/flow-table';
import type { FlowRecord } from '../wire/records';

const NS_PER_MS = 1e6;
/** Lingering entries are looked at this often, or four times per linger if that is shorter. */
const SWEEP_MS = 1000;
/** Walking a million entries takes a third of a second of the main thread: not more often than this. */
const IDLE_SWEEP_MS = 30_000;

interface Closed {
  readonly flow: Buffer;
  readonly id: HandoffId;
  /** Earliest removal, ns on CLOCK_MONOTONIC. */
  readonly due: number;
}

export interface FlowKeeperOptions {
  readonly lingerMs: number;
  readonly idleMs: number;
}

export class FlowKeeper {
  #closed: Closed[] = [];
  readonly #lists = new Map<string, Set<string>>();
  readonly #timers: NodeJS.Timeout[];

  constructor(
    private readonly flows: FlowTable,
    private readonly options: FlowKeeperOptions,
  ) {
    const every = (ms: number, work: () => void): NodeJS.Timeout => setInterval(work, ms).unref();
    this.#timers = [
      every(Math.min(SWEEP_MS, Math.max(10, options.lingerMs / 4)), () => this.sweepClosed()),
      every(Math.min(IDLE_SWEEP_MS, Math.max(10, options.idleMs / 4)), () => this.sweepIdle()),
    ];
  }

  stop(): void {
    this.#timers.forEach(clearInterval);
  }

  /** Entries that wait for their removal. */
  get lingering(): number {
    return this.#closed.length;
  }

  /** An agent says that these connections are over. */
  closed(records: readonly FlowRecord[]): void {
    const due = monotonicNs() + this.options.lingerMs * NS_PER_MS;
    for (const { flow, id } of records) this.#closed.push({ flow, id, due });
  }

  /**
   * A part of an agent's list of what lives. When it is complete, entries of `backends` (the agent's numbers) that were
   * made before `askedAt` (ns) and are not on it linger from now on.
   */
  listed(
    agent: string,
    records: readonly FlowRecord[],
    last: boolean,
    askedAt: number,
    backends: ReadonlySet<number>,
  ): void {
    const list = this.#lists.get(agent) ?? new Set<string>();
    for (const { flow, id } of records) list.add(keyOf(flow, id));
    if (!last) {
      this.#lists.set(agent, list);
      return;
    }
    this.#lists.delete(agent);
    const over: FlowRecord[] = [];
    this.flows.forEach((entry) => {
      if (!backends.has(entry.backend) || entry.created >= askedAt) return;
      if (!list.has(keyOf(entry.flow, entry.id))) over.push({ flow: Buffer.from(entry.flow), id: entry.id });
    });
    this.closed(over);
  }

  /** The channel went down in the middle of a list: what came of it is void. */
  forgetList(agent: string): void {
    this.#lists.delete(agent);
  }

  /** Removes what has lingered since its last packet; what still gets packets waits on. */
  sweepClosed(): void {
    const now = monotonicNs();
    const linger = this.options.lingerMs * NS_PER_MS;
    const waiting: Closed[] = [];
    for (const closed of this.#closed) {
      if (closed.due > now) {
        waiting.push(closed);
      } else if (!this.flows.remove(closed.flow, closed.id, now - linger)) {
        const entry = this.flows.get(closed.flow);
        // Gone, or the port's next connection: nothing of ours is left.
        if (entry === undefined || !sameHandoff(entry.id, closed.id)) continue;
        waiting.push({ ...closed, due: entry.lastSeen + linger });
      }
    }
    this.#closed = waiting;
  }

  /** Removes what has been silent for too long. */
  sweepIdle(): void {
    const limit = monotonicNs() - this.options.idleMs * NS_PER_MS;
    const idle: FlowRecord[] = [];
    this.flows.forEach((entry) => {
      if (entry.lastSeen < limit) idle.push({ flow: Buffer.from(entry.flow), id: entry.id });
    });
    for (const { flow, id } of idle) this.flows.remove(flow, id);
  }
}

function keyOf(flow: Buffer, id: HandoffId): string {
  return `${flow.toString('latin1')}${id.epoch}.${id.sequence}`;
}
