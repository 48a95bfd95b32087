import { capacityOf, shareOf } from '../../src/front/capacity';

test.each([
  // files, limits.connections, connections, descriptors for them
  [1_048_576, 100_000, 100_000, 917_504],
  [20_000, 100_000, 17_500, 17_500],
  [1024, 100_000, 896, 896],
  [1024, 10, 10, 896],
  [512, 100_000, 384, 384],
  [200, 100_000, 100, 100],
])(
  '%d files and %d connections wanted: %d connections, %d descriptors',
  (files, wanted, connections, usable) => {
    expect(capacityOf(files, wanted)).toEqual({ connections, files: usable });
  },
);

test('threads share it, and each has room for one', () => {
  expect(shareOf({ connections: 1000, files: 2001 }, 4)).toEqual({ connections: 250, files: 500 });
  expect(shareOf({ connections: 2, files: 2 }, 4)).toEqual({ connections: 1, files: 1 });
});
