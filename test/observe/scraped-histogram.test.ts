import { DurationHistogram, quantile } from '../../src/observe/duration-histogram';
import { createRegistry } from '../../src/observe/registry';
import { scrapedHistogram } from '../../src/observe/scraped-histogram';

const NAME = 'handoff_duration_seconds';

function histogramOf(...seconds: number[]) {
  const histogram = new DurationHistogram();
  for (const value of seconds) histogram.observe(value);
  return histogram;
}

async function scrape(...pools: { pool: string; histogram: DurationHistogram }[]): Promise<string> {
  const histograms = pools.map(({ pool, histogram }) => histogram.sample(NAME, { pool }));
  return createRegistry('front', () => Promise.resolve({ samples: [], histograms })).metrics();
}

describe('scrapedHistogram', () => {
  test('is what was exported', async () => {
    const histogram = histogramOf(10e-6, 120e-6, 130e-6, 2, 60);
    const { counts, sum } = scrapedHistogram(await scrape({ pool: 'web', histogram }), NAME);
    expect(counts).toEqual(histogram.sample(NAME, {}).counts);
    expect(sum).toBeCloseTo(62.00026, 6);
  });

  test('adds up all pools', async () => {
    const text = await scrape(
      { pool: 'a', histogram: histogramOf(120e-6) },
      { pool: 'b', histogram: histogramOf(120e-6, 5e-3) },
    );
    const sample = scrapedHistogram(text, NAME);
    expect(sample.counts.reduce((a, b) => a + b)).toBe(3);
    expect(sample.sum).toBeCloseTo(5.24e-3, 9);
    expect(quantile(sample, 0.99)).toBeGreaterThan(3e-3);
  });

  test('has nothing where nothing was observed', async () => {
    const sample = scrapedHistogram(await scrape(), NAME);
    expect(sample.counts).toEqual(DurationHistogram.BOUNDS.map(() => 0).concat(0));
    expect(quantile(sample, 0.5)).toBeNaN();
  });
});
