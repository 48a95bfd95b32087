import { join } from 'node:path';
import { BpfObject } from '../../src/kernel/bpf';
import { EbpfFlowTable } from '../../src/steer/ebpf-flow-table';
import { describeFlowTable } from './flow-table-conformance';

const OBJECT = join(__dirname, '../../dist/steer/steer.bpf.o');

describe('the flow table in the kernel', () => {
  const objects: BpfObject[] = [];

  describeFlowTable(
    (capacity) => {
      // Loaded and not attached: nothing is steered, and nothing stays behind when the descriptors are closed.
      const object = BpfObject.open(OBJECT);
      objects.push(object);
      object.setMaxEntries('flows', capacity);
      object.load();
      return new EbpfFlowTable(object.mapFd('flows'), object.programFd('baton_review'));
    },
    () => objects.splice(0).forEach((object) => object.close()),
  );
});
