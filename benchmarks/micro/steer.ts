import { join } from 'node:path';
import { BpfObject } from '../../src/kernel/bpf';
import { makeFlow, parseAddress } from '../../src/kernel/flow';
import { EbpfFlowTable } from '../../src/steer/ebpf-flow-table';
import type { Micro } from './micro';

const OBJECT = join(__dirname, '../../dist/steer/steer.bpf.o');
const CAPACITY = 1024;

/** Enters a flow into the table and takes it out. The map is pinned nowhere, and the program attached to nothing. */
export function steer(): Micro {
  const object = BpfObject.open(OBJECT);
  object.setMaxEntries('flows', CAPACITY);
  object.load();
  const table = new EbpfFlowTable(object.mapFd('flows'));
  const flow = makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80);
  const hop = { address: parseAddress('198.18.0.21'), ifindex: 2 };
  const client = { sequence: 1, acknowledged: 2, initial: 3 };
  const id = { epoch: 1, sequence: 2 };
  const calls = 20;
  return {
    name: 'steer and end it',
    yardstick: 'syscall',
    calls,
    batch: () => {
      for (let i = 0; i < calls; i++) {
        table.insert(flow, hop, 1, id.epoch, id.sequence, client);
        table.remove(flow, id);
      }
    },
    close: () => object.close(),
  };
}
