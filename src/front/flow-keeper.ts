/**
 * Removes entries from the flow table when their connections are over, and sees to it that no client waits for nobody.
 *
 * The agents are the store of truth. An agent reports what has closed, and when its channel comes up, or it is asked, it
 * lists what lives: entries that it should have listed and did not are over as well. The front was away when they closed;
 * or the COMMIT never arrived, or the agent died with the connection. Which of these it is the backend's kernel knows:
 * the client is made to speak, its packet is steered there, and meets the connection's end, or nothing and so a RST.
 *
 * An entry stays for a linger after its last packet, because the backend's kernel still answers for the connection:
 * unacknowledged data, the last FIN, TIME_WAIT. Entries that nobody reports go after `idle`.
 */
import {
  monotonicNs,
  sameHandoff,
  type FlowEntry,
  type FlowRecord,
  type FlowTable,
  type HandoffId,
} from '../steer/flow-table';
import type { ConnectionCounts } from './connection-counts';
import type { Farewells } from './farewells';

const NS_PER_MS = 1e6;
/** Lingering entries are looked at this often, or four times per linger if that is shorter. */
const SWEEP_MS = 1000;
/** A search among a million entries takes half a second of CPU: not more often than this. */
const IDLE_SEARCH_MS = 30_000;
/** How long an end that nobody has told of may count. */
const RECOUNT_MS = 10_000;
/** Between two parts of a search, so that nobody waits for longer than one of them takes. */
const PART_PAUSE_MS = 10;

interface Closed extends FlowRecord {
  /** Its number in the flow table. */
  readonly backend: number;
  readonly key: string;
  /** Earliest removal, ns on CLOCK_MONOTONIC. */
  readonly due: number;
}

export interface FlowKeeperOptions {
  readonly lingerMs: number;
  readonly idleMs: number;
}

export class FlowKeeper {
  /**
   * By flow and id: an agent may say the same thing any number of times. Nearly in the order of their removal: who still
   * gets packets goes to the end, so that no sweep passes over those that wait.
   */
  readonly #closed: Map<string, Closed>;
  readonly #lists = new Map<string, Set<string>>();
  readonly #timers: NodeJS.Timeout[];
  /** The next part of a search for idle entries, while there is one. */
  #search: NodeJS.Timeout | undefined;
  /** When the last search came to its end, performance.now(). */
  #searchedAt: number;
  /** Likewise of a recount. */
  #recounting: NodeJS.Timeout | undefined;
  #recount: Promise<void> | undefined;

  constructor(
    private readonly flows: FlowTable,
    private readonly options: FlowKeeperOptions,
    private readonly farewells: Pick<Farewells, 'probe' | 'reset'>,
    /** Only where there are limits. */
    private readonly counts?: ConnectionCounts,
    /** The keeper before a reload: both hear of the same ends for a while, and each end is one. */
    before?: FlowKeeper,
  ) {
    this.#closed = before === undefined ? new Map<string, Closed>() : before.#closed;
    // Whoever shortens the linger wants to see that now.
    const latest = monotonicNs() + options.lingerMs * NS_PER_MS;
    for (const [key, closed] of this.#closed)
      if (closed.due > latest) this.#closed.set(key, { ...closed, due: latest });
    // Where reloads come faster than searches, none would ever be due.
    this.#searchedAt = before === undefined ? performance.now() : before.#searchedAt;
    const idleEvery = Math.min(IDLE_SEARCH_MS, Math.max(10, options.idleMs / 4));
    const every = (ms: number, work: () => void): NodeJS.Timeout => setInterval(work, ms).unref();
    this.#timers = [
      every(Math.min(SWEEP_MS, Math.max(10, options.lingerMs / 4)), () => this.sweepClosed()),
      every(idleEvery, () => this.searchIdle()),
      setTimeout(() => this.searchIdle(), this.#searchedAt + idleEvery - performance.now()).unref(),
    ];
    if (counts === undefined) return;
    this.#timers.push(every(RECOUNT_MS, () => void this.recount(counts)));
    // Of connections from before a restart, or before there were limits, nobody has kept count.
    void this.recount(counts);
  }

  stop(): void {
    this.#timers.forEach(clearInterval);
    clearTimeout(this.#search);
    clearTimeout(this.#recounting);
  }

  /** Entries that wait for their removal. */
  get lingering(): number {
    return this.#closed.size;
  }

  /** The same of one backend. */
  lingeringOf(backend: number): number {
    let count = 0;
    for (const closed of this.#closed.values()) if (closed.backend === backend) count += 1;
    return count;
  }

  /**
   * An agent says that these connections are over; `backends` are its numbers. It tells all fronts of all its connections,
   * and what is not steered to it from here, or by another handoff, is none of this front's business or none of its own.
   */
  closed(records: readonly FlowRecord[], backends: ReadonlySet<number>): void {
    this.#review(records, backends, (record, backend) => this.#linger(record, backend));
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
    this.#review(records, backends, ({ flow, id }) => list.add(keyOf(flow, id)));
    if (!last) {
      this.#lists.set(agent, list);
      return;
    }
    this.#lists.delete(agent);
    const over = this.#select(
      (entry) =>
        backends.has(entry.backend) && entry.created < askedAt && !list.has(keyOf(entry.flow, entry.id)),
    );
    for (const entry of over) this.#presumeOver(entry);
  }

  /** An agent says that it prepared these connections and will never serve them. */
  voided(records: readonly FlowRecord[], backends: ReadonlySet<number>): void {
    for (const record of records) {
      const entry = this.#entryOf(record, backends);
      if (entry !== undefined) this.#presumeOver({ ...entry, flow: record.flow });
    }
  }

  /** The channel to an agent broke: whether COMMITs for entries made since `since` (ns) have arrived is not known. */
  doubt(backends: ReadonlySet<number>, since: number): void {
    const young = this.#select((entry) => backends.has(entry.backend) && entry.created >= since);
    for (const entry of young) this.farewells.probe(entry.flow, entry.client);
  }

  /** A backend's host is gone: its flows end here, and their clients are told. Returns how many there were. */
  hostGone(backends: ReadonlySet<number>): number {
    const lost = this.#select((entry) => backends.has(entry.backend));
    for (const { flow, id, client } of lost) {
      if (this.flows.remove(flow, id)) this.farewells.reset(flow, client);
    }
    return lost.length;
  }

  /** The channel went down in the middle of a list: what came of it is void. */
  forgetList(agent: string): void {
    this.#lists.delete(agent);
  }

  /** Removes what has lingered since its last packet; what still gets packets waits on. */
  sweepClosed(): void {
    const now = monotonicNs();
    const linger = this.options.lingerMs * NS_PER_MS;
    const due: Closed[] = [];
    for (const closed of this.#closed.values()) {
      if (closed.due > now) break;
      due.push(closed);
    }
    for (const { key } of due) this.#closed.delete(key);
    this.flows.review(due, now - linger, (index, _, lastSeen) => {
      const closed = due[index];
      if (closed !== undefined) this.#closed.set(closed.key, { ...closed, due: lastSeen + linger });
    });
  }

  /** Begins to remove what has been silent for too long, unless it is at it. */
  searchIdle(): void {
    if (this.#search !== undefined) return;
    const limit = monotonicNs() - this.options.idleMs * NS_PER_MS;
    const parts = this.flows.silent(limit);
    const next = (): void => {
      const { value, done } = parts.next();
      // Those that have got a packet meanwhile stay.
      this.flows.review(value ?? [], limit, () => undefined);
      this.#search = done === true ? undefined : setTimeout(next, PART_PAUSE_MS).unref();
      if (done === true) this.#searchedAt = performance.now();
    };
    next();
  }

  /** Counts the connections in the table that are not over. Resolves at the end, also of a count that was under way. */
  recount(counts: ConnectionCounts): Promise<void> {
    this.#recount ??= new Promise((resolve) => {
      const recount = counts.recount();
      const parts = this.flows.silent(Infinity);
      const next = (): void => {
        const { value, done } = parts.next();
        for (const { flow, id } of value ?? []) if (!this.#closed.has(keyOf(flow, id))) recount.add(flow);
        if (done !== true) {
          this.#recounting = setTimeout(next, PART_PAUSE_MS).unref();
          return;
        }
        recount.finish();
        this.#recount = undefined;
        resolve();
      };
      // Not within the expression that is to be its value.
      this.#recounting = setTimeout(next).unref();
    });
    return this.#recount;
  }

  /** Whether the connection is over the backend's kernel decides, by the client's next packet. */
  #presumeOver({ flow, id, client, backend }: FlowEntry): void {
    this.#linger({ flow, id }, backend);
    this.farewells.probe(flow, client);
  }

  #linger({ flow, id }: FlowRecord, backend: number): void {
    const key = keyOf(flow, id);
    const due = monotonicNs() + this.options.lingerMs * NS_PER_MS;
    const known = this.#closed.get(key);
    if (known !== undefined) {
      // The keeper before a reload may have heard of it first, and have lingered for longer.
      if (known.due > due) this.#closed.set(key, { ...known, due });
      return;
    }
    this.#closed.set(key, { key, flow, id, backend, due });
    this.counts?.over(flow);
  }

  /** Calls back for those of an agent's records that there are entries of, and that are its own. */
  #review(
    records: readonly FlowRecord[],
    backends: ReadonlySet<number>,
    known: (record: FlowRecord, backend: number) => void,
  ): void {
    this.flows.review(records, 0, (index, backend) => {
      const record = records[index];
      if (record !== undefined && backends.has(backend)) known(record, backend);
    });
  }

  /** The entry that an agent speaks of, if it is one of its own. */
  #entryOf({ flow, id }: FlowRecord, backends: ReadonlySet<number>): FlowEntry | undefined {
    const entry = this.flows.get(flow);
    return entry !== undefined && sameHandoff(entry.id, id) && backends.has(entry.backend)
      ? entry
      : undefined;
  }

  /** Copies of the entries that match: the table may be changed while they are worked on. */
  #select(matches: (entry: FlowEntry) => boolean): FlowEntry[] {
    const selected: FlowEntry[] = [];
    this.flows.forEach((entry) => {
      if (matches(entry)) selected.push({ ...entry, flow: Buffer.from(entry.flow) });
    });
    return selected;
  }
}

function keyOf(flow: Buffer, id: HandoffId): string {
  return `${flow.toString('latin1')}${id.epoch}.${id.sequence}`;
}
