import { sameHandoff, type FlowRecord } from '../steer/flow-table';

export interface HeldRecord extends FlowRecord {
  /** Node name of the front that handed it over. */
  readonly front: string;
}

/**
 * Connections of this host that the process before this one has still: to fronts they live here, because that process has no
 * channels any more.
 */
export class Estate implements Iterable<FlowRecord> {
  /** By flow and handoff. */
  readonly #records = new Map<string, HeldRecord>();
  /** The latest of each flow (Latin-1 text of its bytes). */
  readonly #latest = new Map<string, HeldRecord>();

  add(record: HeldRecord): void {
    this.#records.set(keyOf(record), record);
    this.#latest.set(record.flow.toString('latin1'), record);
  }

  /** It is not that process's any more. Returns whether it was. */
  remove(record: FlowRecord): boolean {
    const flow = record.flow.toString('latin1');
    const latest = this.#latest.get(flow);
    if (latest !== undefined && sameHandoff(latest.id, record.id)) this.#latest.delete(flow);
    return this.#records.delete(keyOf(record));
  }

  /** Node name of the front that handed over the connection of a flow, if there is one here. */
  holderOf(flow: string): string | undefined {
    return this.#latest.get(flow)?.front;
  }

  /** Takes all out. */
  clear(): HeldRecord[] {
    const all = [...this.#records.values()];
    this.#records.clear();
    this.#latest.clear();
    return all;
  }

  get size(): number {
    return this.#records.size;
  }

  [Symbol.iterator](): Iterator<HeldRecord> {
    return this.#records.values();
  }
}

function keyOf({ flow, id }: FlowRecord): string {
  return `${flow.toString('latin1')}${id.epoch}.${id.sequence}`;
}
