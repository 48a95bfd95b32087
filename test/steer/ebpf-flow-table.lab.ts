import { join } from 'node:path';
import { BpfObject } from '../../src/kernel/bpf';
import { EbpfFlowTable } from '../../src/steer/ebpf-flow-table';
import { describeFlowTable } from './flow-table-conformance';

const OBJECT = join(__dirname, '../../dist/steer/steer.bpf.o');

const objects: BpfObject[] = [];

/** Loaded and not attached: nothing is steered, and nothing stays behind when the descriptors are closed. */
function load(capacity: number): BpfObject {
  const object = BpfObject.open(OBJECT);
  objects.push(object);
  object.setMaxEntries('flows', capacity);
  object.load();
  return object;
}

const closeAll = (): void => objects.splice(0).forEach((object) => object.close());

describe('the flow table in the kernel', () => {
  describeFlowTable((capacity) => {
    const object = load(capacity);
    return new EbpfFlowTable(object.mapFd('flows'), object.programFd('baton_review'));
  }, closeAll);
});

describe('the flow table of a kernel that does not run the review', () => {
  const NO_PROGRAM = -1;
  describeFlowTable((capacity) => new EbpfFlowTable(load(capacity).mapFd('flows'), NO_PROGRAM), closeAll);
});
