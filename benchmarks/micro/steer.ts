import { join } from 'node:path';
import { BpfObject } from '../../src/kernel/bpf';
import { makeFlow, parseAddress } from '../../src/kernel/flow';
import { EbpfFlowTable } from '../../src/steer/ebpf-flow-table';
import type { Micro } from './micro';

const OBJECT = join(__dirname, '../../dist/steer/steer.bpf.o');
const CAPACITY = 1024;
/** Few enough to end in one review. */
const CALLS = 20;

/** Enters flows into the table one by one, and takes them out together. The map is pinned nowhere, and the program attached to nothing. */
export function steer(): Micro {
  const object = BpfObject.open(OBJECT);
  object.setMaxEntries('flows', CAPACITY);
  object.load();
  const table = new EbpfFlowTable(object.mapFd('flows'), object.programFd('baton_review'));
  const handoffs = Array.from({ length: CALLS }, (_, i) => ({
    flow: makeFlow('198.18.1.1', 40_000 + i, '198.19.0.1', 80),
    id: { epoch: 1, sequence: i },
  }));
  const hop = { address: parseAddress('198.18.0.21'), ifindex: 2 };
  const client = { sequence: 1, acknowledged: 2, initial: 3 };
  return {
    name: 'steer and end it',
    yardstick: 'syscall',
    calls: CALLS,
    batch: () => {
      for (const { flow, id } of handoffs) table.insert(flow, hop, 1, id.epoch, id.sequence, client);
      table.review(handoffs, Number.MAX_SAFE_INTEGER, () => {
        throw new Error('an entry was seen in the future');
      });
    },
    close: () => object.close(),
  };
}
