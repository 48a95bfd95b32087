import { WeightedSplit } from '../../src/balance/weighted-split';

const KEYS = Array.from({ length: 20_000 }, (_, k) => `user-${k}`);
const split = (weights: Readonly<Record<string, number>>, random?: () => number) =>
  new WeightedSplit(
    Object.entries(weights).map(([name, weight]) => ({ name, weight })),
    random,
  );
const of = (weights: Readonly<Record<string, number>>) => {
  const shares = split(weights);
  return KEYS.map((key) => shares.of(key).name);
};
const shareOf = (names: readonly string[], name: string) =>
  names.filter((each) => each === name).length / names.length;

test('keys are divided by weight', () => {
  const names = of({ web: 90, canary: 9, dark: 0, other: 1 });
  // Five standard deviations of 20,000 keys: 0.0107, 0.0102 and 0.0036.
  expect(Math.abs(shareOf(names, 'web') - 0.9)).toBeLessThan(0.0107);
  expect(Math.abs(shareOf(names, 'canary') - 0.09)).toBeLessThan(0.0102);
  expect(Math.abs(shareOf(names, 'other') - 0.01)).toBeLessThan(0.0036);
  expect(shareOf(names, 'dark')).toBe(0);
});

test('the order of the shares does not matter', () => {
  expect(of({ b: 1, c: 2, a: 3 })).toEqual(of({ a: 3, b: 1, c: 2 }));
});

test('a share that is raised takes keys from the others, and these exchange none', () => {
  const before = of({ a: 50, b: 30, c: 20 });
  const after = of({ a: 50, b: 30, c: 40 });
  const moved = after.filter((name, i) => name !== before[i]);
  expect(moved.length).toBeGreaterThan(1000);
  expect(new Set(moved)).toEqual(new Set(['c']));
  // Of two, the other one's share sinks as well.
  const ramp = [1, 5, 20, 100].map((canary) => of({ web: 100 - canary, canary }));
  for (const [i, names] of ramp.slice(1).entries()) {
    expect(names.filter((name, k) => ramp[i]?.[k] === 'canary' && name !== 'canary')).toEqual([]);
  }
});

test('chance is divided by weight', () => {
  const steps = 1000;
  let step = 0;
  const shares = split({ dark: 0, web: 95, canary: 5 }, () => step++ / steps);
  const names = Array.from({ length: steps }, () => shares.any().name);
  expect(names).toEqual([...Array<string>(950).fill('web'), ...Array<string>(50).fill('canary')]);
});

test('somebody must have a weight', () => {
  expect(() => split({ a: 0 })).toThrow(RangeError);
  expect(() => split({})).toThrow(RangeError);
});
