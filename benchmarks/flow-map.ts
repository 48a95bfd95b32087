/** The flow table of a lab's front, looked at and filled from outside. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { closePinned, openPinned } from '../src/kernel/bpf';
import { makeFlow, parseAddress } from '../src/kernel/flow';
import { EbpfFlowTable } from '../src/steer/ebpf-flow-table';
import { MAX_BACKENDS } from '../src/steer/layout';

/** Where the filling comes from: 10.0.0.0/8, of which a lab has no client. */
const FILLING_NET = 0x0a00_0000;
/** The last four octets of a flow's client address. */
const CLIENT_ADDRESS4 = 12;
/** No backend has the last number in so small a lab: the front asks no agent for these flows, and sends none of them away. */
const NOBODY = MAX_BACKENDS - 1;
const NUMBERS = { sequence: 0, acknowledged: 0, initial: 0 };

const NO_PROGRAM = -1;

export class FlowMap {
  private readonly table: EbpfFlowTable;
  /** Entries that `fill` has made. */
  filled = 0;
  private readonly flow = makeFlow('10.0.0.0', 40_000, '198.19.0.1', 80);

  private constructor(
    private readonly fd: number,
    private readonly hop: { readonly address: Buffer; readonly ifindex: number },
  ) {
    // Nothing is reviewed here.
    this.table = new EbpfFlowTable(fd, NO_PROGRAM);
  }

  /** `pin` is the front's `steering.pin`. */
  static open(pin: string): FlowMap {
    const fd = openPinned(join(pin, 'flows'));
    if (fd === undefined) throw new Error(`no flow table is pinned in ${pin}`);
    return new FlowMap(fd, { address: parseAddress('198.18.0.21'), ifindex: 1 });
  }

  close(): void {
    closePinned(this.fd);
  }

  /** Octets in the kernel: its buckets, and its entries (htab_map_mem_usage in kernel/bpf/hashtab.c). */
  get bytes(): number {
    const info = readFileSync(`/proc/self/fdinfo/${this.fd}`, 'latin1');
    return Number(/^memlock:\s+(\d+)$/m.exec(info)?.[1]);
  }

  /** Entries, whoever has made them. */
  get size(): number {
    let entries = 0;
    this.table.forEach(() => entries++);
    return entries;
  }

  /** Seconds that a search takes which finds nothing, as the front does it for idle flows. */
  timeOfSearch(): number {
    const began = performance.now();
    for (const part of this.table.silent(0)) {
      if (part.length > 0) throw new Error('a flow is older than the clock');
    }
    return (performance.now() - began) / 1000;
  }

  /** Adds entries, a few microseconds each. */
  fill(count: number): void {
    for (let index = 0; index < count; index++) {
      this.flow.writeUInt32BE(FILLING_NET + index, CLIENT_ADDRESS4);
      if (!this.table.insert(this.flow, this.hop, NOBODY, 0, index, NUMBERS))
        throw new Error('the flow table is full');
    }
    this.filled = count;
  }
}
