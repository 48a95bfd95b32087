import { formatRatio, formatSpread, ratioOf, sideBySide, spreadOf } from '../../benchmarks/spread';

test('a spread is the median, the least and the most', () => {
  expect(spreadOf([3, 1, 2])).toEqual({ median: 2, least: 1, most: 3 });
  expect(spreadOf([4, 1])).toEqual({ median: 2.5, least: 1, most: 4 });
  expect(formatSpread(spreadOf([3, 1, 2]), String)).toBe('2 (1-3)');
  expect(formatSpread(spreadOf([1.001, 1.002]), (value) => value.toFixed(2))).toBe('1.00');
});

test('rounds without a partner are left out', () => {
  expect(sideBySide([1, 2, 3], [4, 5])).toEqual([
    [1, 4],
    [2, 5],
  ]);
  expect(sideBySide([1], undefined)).toEqual([]);
});

test('a ratio is taken round by round, and what both have in common cancels out', () => {
  const ratio = ratioOf([10, 20, 40], [5, 10, 20]);
  for (const each of Object.values(ratio)) expect(each).toBeCloseTo(2, 10);
  expect(formatRatio([10, 20, 40], [5, 10, 20])).toBe('2.00');
  expect(formatRatio([10], [5])).toBe('2.00');
  expect(formatRatio([10], undefined)).toBe('');
});

test('a ratio and its inverse say the same', () => {
  const [a, b] = [
    [1, 2, 4],
    [3, 3, 3],
  ];
  const [there, back] = [ratioOf(a, b), ratioOf(b, a)];
  expect(there.mean * back.mean).toBeCloseTo(1, 10);
  expect(there.low * back.high).toBeCloseTo(1, 10);
});

test('the interval holds the true ratio nineteen times in twenty', () => {
  // Normal noise of the logarithms, by Box and Muller from a generator with a seed.
  let state = 1;
  const uniform = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const noise = (): number =>
    Math.exp(0.1 * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
  let held = 0;
  for (let run = 0; run < 2000; run++) {
    const { low, high } = ratioOf([0.5 * noise(), 0.5 * noise(), 0.5 * noise()], [noise(), noise(), noise()]);
    if (low <= 0.5 && high >= 0.5) held += 1;
  }
  expect(held / 2000).toBeGreaterThan(0.935);
  expect(held / 2000).toBeLessThan(0.965);
});
