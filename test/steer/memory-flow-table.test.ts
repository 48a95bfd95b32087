import { describeFlowTable } from './flow-table-conformance';
import { MemoryFlowTable } from './memory-flow-table';

describe('the flow table in memory', () => {
  describeFlowTable(
    (capacity) => new MemoryFlowTable(capacity),
    () => undefined,
  );
});
