import { capacityOf } from '../../src/front/capacity';

test.each([
  // files, limits.connections, connections, first reserved descriptor
  [1_048_576, 100_000, 100_000, 917_504],
  [20_000, 100_000, 17_500, 17_500],
  [1024, 100_000, 896, 896],
  [1024, 10, 10, 896],
  [512, 100_000, 384, 384],
  [200, 100_000, 100, 100],
])(
  '%d files and %d connections wanted: %d connections, from %d on reserved',
  (files, wanted, connections, reservedFrom) => {
    expect(capacityOf(files, wanted)).toEqual({ connections, reservedFrom });
  },
);
