/** Asks agents for live connections that are to go elsewhere: one that is named, or all of a backend that drains. */
import { setTimeout as sleep } from 'node:timers/promises';
import { formatFlow } from '../kernel/flow';
import { sameHandoff, type FlowRecord, type FlowTable } from '../steer/flow-table';
import type { KeepReason, Wish } from '../wire/hand-back';

/** How many are asked for at once, and how long the others wait: an agent moves some thousand in a second. */
const PART = 1024;
const PART_PAUSE_MS = 100;
/** The same where nobody waits for it: some hundred in a second, beside all else that the backends do. */
const REBALANCED = 50;
/** How often it is looked what has become of a connection of which nobody says anything, and for how long. */
const LOOK_MS = 50;
const PATIENCE_MS = 10_000;
/** The COMMIT that has brought a connection to its agent comes on another channel, and perhaps later than the question. */
const ASK_AGAIN_MS = 20;
const MOST_ASKED = 5;

/** The way to the agent that has a connection (wire/link.ts). */
export interface MoveLink {
  readonly up: boolean;
  move(record: FlowRecord, wish: Wish): void;
}

/** What is wanted of the connection of a flow, by the number of its backend; undefined where it is to stay. */
export type WishFor = (flow: Buffer, backend: number) => Wish | undefined;

/** What became of a connection that somebody wanted to move. */
export type MoveAnswer =
  | { readonly moved: true; readonly ms: number }
  | { readonly moved: false; readonly why: KeepReason | 'no_channel' | 'gone' | 'timeout' };

/** A connection that somebody waits for. */
interface Waiting {
  /** Why it stays. */
  why?: KeepReason;
  /** Has it looked at now. */
  wake: () => void;
}

export class Mover {
  /** By handoff. */
  readonly #waiting = new Map<string, Waiting>();
  /** By flow, as formatFlow spells it. */
  readonly #byFlow = new Map<string, Waiting>();

  constructor(
    private readonly flows: FlowTable,
    /** To the agent of a backend, by its number in the flow table. */
    private readonly linkOf: (backend: number) => MoveLink | undefined,
  ) {}

  /** An agent does not hand back a connection that it was asked for. */
  kept({ epoch, sequence }: FlowRecord['id'], reason: KeepReason): void {
    const waiting = this.#waiting.get(`${epoch}.${sequence}`);
    if (waiting === undefined) return;
    waiting.why = reason;
    waiting.wake();
  }

  /** The connection of a flow (formatFlow) has moved. */
  moved(flow: string): void {
    this.#byFlow.get(flow)?.wake();
  }

  /** Moves the connection of a flow to a backend, or any other one for ''. Resolves when it has, or it is known why not. */
  async move(flow: Buffer, wish: Wish): Promise<MoveAnswer> {
    const entry = this.flows.get(flow);
    if (entry === undefined) return { moved: false, why: 'gone' };
    const link = this.linkOf(entry.backend);
    if (link?.up !== true) return { moved: false, why: 'no_channel' };
    const { id } = entry;
    const key = `${id.epoch}.${id.sequence}`;
    if (this.#waiting.has(key)) return { moved: false, why: 'busy' };
    const began = performance.now();
    const name = formatFlow(flow);
    const waiting: Waiting = { wake: () => undefined };
    this.#waiting.set(key, waiting);
    this.#byFlow.set(name, waiting);
    try {
      link.move({ flow, id }, wish);
      for (let asked = 1; performance.now() - began < PATIENCE_MS;) {
        await news(waiting);
        const { why } = waiting;
        const now = this.flows.get(flow);
        if (now === undefined) return { moved: false, why: 'gone' };
        if (!sameHandoff(now.id, id)) return { moved: true, ms: performance.now() - began };
        if (why === 'unknown' && asked < MOST_ASKED) {
          asked += 1;
          delete waiting.why;
          await sleep(ASK_AGAIN_MS);
          link.move({ flow, id }, wish);
        } else if (why !== undefined) return { moved: false, why };
      }
      return { moved: false, why: 'timeout' };
    } finally {
      this.#waiting.delete(key);
      this.#byFlow.delete(name);
    }
  }

  /**
   * Asks for all connections of a backend, by its number; its agent goes on trying with those that are busy. `until` tells
   * that it is no longer wanted.
   */
  async moveAll(backend: number, wish: Wish, until: () => boolean): Promise<void> {
    const wishFor = (_flow: Buffer, owner: number): Wish | undefined =>
      owner === backend ? wish : undefined;
    await this.#ask(wishFor, until, PART);
  }

  /** Asks for the connections that `wishFor` has a wish for, by their flow and backend, so many in a second. */
  async rebalance(wishFor: WishFor, until: () => boolean): Promise<void> {
    await this.#ask(wishFor, until, REBALANCED);
  }

  async #ask(wishFor: WishFor, until: () => boolean, part: number): Promise<void> {
    let asked = 0;
    for (const records of this.flows.silent(Infinity)) {
      for (const { flow, id } of records) {
        if (until()) return;
        const entry = this.flows.get(flow);
        const wish = entry && wishFor(flow, entry.backend);
        if (entry === undefined || wish === undefined) continue;
        const link = this.linkOf(entry.backend);
        if (link?.up !== true) continue;
        link.move({ flow, id }, wish);
        asked += 1;
        if (asked % part === 0) await sleep(PART_PAUSE_MS);
      }
      await sleep(0);
    }
  }
}

/** Resolves when there is something to look at, or after a while. */
function news(waiting: Waiting): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, LOOK_MS);
    waiting.wake = () => {
      clearTimeout(timer);
      resolve();
    };
  });
}
