import { mergeStats, type StatsSnapshot } from '../../src/observe/stats';

const empty: StatsSnapshot = { samples: [], histograms: [] };

function counter(name: string, labels: Record<string, string>, value: number): StatsSnapshot {
  return { samples: [{ name, labels, value }], histograms: [] };
}

function histogram(labels: Record<string, string>, counts: number[], sum: number): StatsSnapshot {
  return { samples: [], histograms: [{ name: 'h', labels, counts, sum }] };
}

describe('mergeStats', () => {
  test('nothing merges to nothing', () => {
    expect(mergeStats([])).toEqual(empty);
    expect(mergeStats([empty, empty])).toEqual(empty);
  });

  test('sums samples of equal name and labels, whatever the order of the labels', () => {
    const merged = mergeStats([
      counter('c', { a: '1', b: '2' }, 3),
      counter('c', { b: '2', a: '1' }, 4),
      counter('c', { a: '1', b: '2' }, 5),
    ]);
    expect(merged.samples).toEqual([{ name: 'c', labels: { a: '1', b: '2' }, value: 12 }]);
  });

  test('keeps different names and labels apart, in order of appearance', () => {
    const merged = mergeStats([
      counter('c', { a: '2' }, 1),
      counter('c', { a: '1' }, 2),
      counter('d', { a: '2' }, 4),
      // Joined without quoting, this would look like { a: '2', b: '3' }.
      counter('c', { a: '2,b=3' }, 8),
      counter('c', { a: '2', b: '3' }, 16),
    ]);
    expect(merged.samples.map(({ value }) => value)).toEqual([1, 2, 4, 8, 16]);
  });

  test('sums histograms bucket by bucket and leaves its input alone', () => {
    const parts = [histogram({ pool: 'web' }, [1, 0, 2], 0.5), histogram({ pool: 'web' }, [0, 3, 1], 0.25)];
    const before = structuredClone(parts);
    expect(mergeStats(parts).histograms).toEqual([
      { name: 'h', labels: { pool: 'web' }, counts: [1, 3, 3], sum: 0.75 },
    ]);
    expect(parts).toEqual(before);
  });

  test('refuses to add histograms of different shapes', () => {
    expect(() => mergeStats([histogram({}, [1, 2], 1), histogram({}, [1], 1)])).toThrow(
      'merge h: 2 buckets against 1',
    );
  });
});
