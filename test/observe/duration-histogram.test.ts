import { DurationHistogram, quantile } from '../../src/observe/duration-histogram';

function sampleOf(...seconds: number[]) {
  const histogram = new DurationHistogram();
  for (const value of seconds) histogram.observe(value);
  return histogram.sample('h', { pool: 'web' });
}

describe('DurationHistogram', () => {
  test('bounds rise from 25 µs to 10 s', () => {
    const bounds = DurationHistogram.BOUNDS;
    expect(bounds[0]).toBe(25e-6);
    expect(bounds.at(-1)).toBe(10);
    expect([...bounds].sort((a, b) => a - b)).toEqual(bounds);
    expect(new Set(bounds).size).toBe(bounds.length);
  });

  test('a bucket includes its upper bound and nothing above it', () => {
    const { counts, sum } = sampleOf(0, 25e-6, 25.1e-6, 10, 10.1, 3600);
    expect(counts).toHaveLength(DurationHistogram.BOUNDS.length + 1);
    expect(counts.slice(0, 3)).toEqual([2, 1, 0]);
    expect(counts.slice(-2)).toEqual([1, 2]);
    expect(sum).toBeCloseTo(3620.1, 3);
  });

  test('every bound lands in its own bucket', () => {
    expect(sampleOf(...DurationHistogram.BOUNDS).counts).toEqual([
      ...DurationHistogram.BOUNDS.map(() => 1),
      0,
    ]);
  });

  test('a sample is a copy that survives structured clone', () => {
    const histogram = new DurationHistogram();
    histogram.observe(1e-3);
    const sample = histogram.sample('h', { pool: 'web' });
    histogram.observe(1e-3);
    expect(sample.counts.reduce((a, b) => a + b)).toBe(1);
    expect(structuredClone(sample)).toEqual(sample);
    expect(sample).toMatchObject({ name: 'h', labels: { pool: 'web' }, sum: 1e-3 });
  });
});

describe('quantile', () => {
  test('is NaN without observations', () => {
    expect(quantile(sampleOf(), 0.5)).toBeNaN();
  });

  test('is linear inside a bucket', () => {
    // Ten observations between 100 and 150 µs.
    const sample = sampleOf(...Array.from({ length: 10 }, () => 120e-6));
    expect(quantile(sample, 0)).toBeCloseTo(100e-6, 9);
    expect(quantile(sample, 0.5)).toBeCloseTo(125e-6, 9);
    expect(quantile(sample, 1)).toBeCloseTo(150e-6, 9);
  });

  test('starts the first bucket at zero', () => {
    expect(quantile(sampleOf(1e-6, 1e-6), 0.5)).toBeCloseTo(12.5e-6, 9);
  });

  test('skips empty buckets', () => {
    const sample = sampleOf(10e-6, 2);
    expect(quantile(sample, 0.5)).toBeCloseTo(25e-6, 9);
    expect(quantile(sample, 0.75)).toBeCloseTo(1.75, 9);
  });

  test('knows only the last bound for what lies above it', () => {
    expect(quantile(sampleOf(60, 600), 0.99)).toBe(10);
  });
});
