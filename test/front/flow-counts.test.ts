import { FlowCounts } from '../../src/front/flow-counts';
import type { FlowEntry } from '../../src/steer/flow-table';

test('flows are counted by backend, once for questions close together, and anew when that is forgotten', () => {
  const backends = [1, 2, 2];
  const counts = new FlowCounts({
    forEach: (visit) => backends.forEach((backend) => visit({ backend } as FlowEntry)),
  });
  const counted = (): [number, number][] => [...counts.byNumber()];
  expect(counted()).toEqual([
    [1, 1],
    [2, 2],
  ]);
  backends.push(1);
  expect(counted()[0]).toEqual([1, 1]);
  counts.forget();
  expect(counted()[0]).toEqual([1, 2]);
});
