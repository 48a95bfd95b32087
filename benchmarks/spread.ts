/** A figure of several rounds: the median decides, least and most say how far to trust it. */
export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    least: at(0),
    most: at(sorted.length - 1),
  };
}

/** The value that a share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? NaN;
}

/** `median (least-most)`, each as `show` writes it; the median alone where all are equal. */
export function formatSpread(spread: Spread, show: (value: number) => string): string {
  const [least, most] = [show(spread.least), show(spread.most)];
  return show(spread.median) + (least === most ? '' : ` (${least}-${most})`);
}

/** Two-sided 95 % of Student's t distribution with 1, 2, 3 ... degrees of freedom; with more it is hardly less than the last. */
const T95 = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26] as const;

/** How much one is of another. With two rounds or more it is known from where to where, or else `low` and `high` are the mean. */
export interface Ratio {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * One figure against another, round by round: what slows the machine down for a while slows both, so that ratios say more
 * than figures do, and agree where these do not. The mean is the geometric one; between `low` and `high` it is with 95 %
 * confidence, as far as rounds are independent.
 */
export function ratioOf(values: readonly number[], others: readonly number[]): Ratio {
  const logarithms = sideBySide(values, others).map(([value, other]) => Math.log(value / other));
  const rounds = logarithms.length;
  const mean = logarithms.reduce((sum, each) => sum + each, 0) / rounds;
  if (rounds < 2) return { mean: Math.exp(mean), low: Math.exp(mean), high: Math.exp(mean) };
  const variance = logarithms.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (rounds - 1);
  const reach = (T95[Math.min(rounds - 1, T95.length) - 1] as number) * Math.sqrt(variance / rounds);
  return { mean: Math.exp(mean), low: Math.exp(mean - reach), high: Math.exp(mean + reach) };
}

/** `mean (low-high)`; '' where there is nothing to compare with. */
export function formatRatio(values: readonly number[], others: readonly number[] | undefined): string {
  if (others === undefined) return '';
  const { mean, low, high } = ratioOf(values, others);
  return formatSpread({ median: mean, least: low, most: high }, (ratio) => ratio.toFixed(2));
}

/** What two did in the same round, for each round. */
export function sideBySide<T>(
  first: readonly T[] = [],
  second: readonly T[] = [],
): (readonly [first: T, second: T])[] {
  return first.flatMap((each, round) =>
    second.slice(round, round + 1).map((other) => [each, other] as const),
  );
}
