import { mapLookup, mapUpdate, possibleCpus } from '../kernel/bpf';
import { KernelError } from '../kernel/errors';
import * as layout from './layout';

export interface SteeredTotals {
  readonly packets: number;
  readonly bytes: number;
}

/**
 * Flow entries name their backend by a number. The numbers are kept beside the flow table, pinned like it, so that a
 * restarted front gives every backend the number that its flows carry already. The counters per number live here too.
 */
export class BackendNumbers {
  readonly #namesFd: number;
  readonly #countersFd: number;
  readonly #names: string[] = [];
  readonly #key = Buffer.alloc(4);
  readonly #counters = Buffer.alloc(layout.COUNTERS_BYTES * possibleCpus());

  constructor(namesFd: number, countersFd: number) {
    this.#namesFd = namesFd;
    this.#countersFd = countersFd;
    const value = Buffer.alloc(layout.BACKEND_NAME_BYTES);
    for (let number = 0; number < layout.MAX_BACKENDS; number++) {
      this.#key.writeUInt32LE(number, 0);
      if (mapLookup(namesFd, this.#key, value) < 0) break;
      const end = value.indexOf(0);
      this.#names.push(value.toString('utf8', 0, end < 0 ? value.length : end));
    }
  }

  /** The name behind a number, or undefined where none was given out. */
  name(number: number): string | undefined {
    return this.#names[number] === '' ? undefined : this.#names[number];
  }

  /**
   * The number of a backend, given out now if it has none. Numbers of backends that are gone are taken again once no
   * flow carries them: `inUse` tells.
   */
  assign(name: string, wanted: ReadonlySet<string>, inUse: ReadonlySet<number>): number {
    const known = this.#names.indexOf(name);
    if (known >= 0) return known;
    const free = this.#names.findIndex((other, number) => !wanted.has(other) && !inUse.has(number));
    if (free < 0) throw new Error(`more than ${layout.MAX_BACKENDS} backends are known to the flow table`);
    const value = Buffer.alloc(layout.BACKEND_NAME_BYTES);
    value.write(name, 'utf8');
    this.#write(this.#namesFd, free, value);
    this.#write(this.#countersFd, free, this.#counters.fill(0));
    this.#names[free] = name;
    return free;
  }

  /** Packets and bytes steered to a backend since its number was given out, over all CPUs. */
  totals(number: number): SteeredTotals {
    this.#key.writeUInt32LE(number, 0);
    if (mapLookup(this.#countersFd, this.#key, this.#counters) < 0) return { packets: 0, bytes: 0 };
    let packets = 0;
    let bytes = 0;
    for (let at = 0; at < this.#counters.length; at += layout.COUNTERS_BYTES) {
      packets += layout.readU64(this.#counters, at);
      bytes += layout.readU64(this.#counters, at + 8);
    }
    return { packets, bytes };
  }

  #write(fd: number, number: number, value: Buffer): void {
    this.#key.writeUInt32LE(number, 0);
    const result = mapUpdate(fd, this.#key, value);
    if (result < 0) throw new KernelError(`write backend number ${number}`, -result);
  }
}
