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
  const [median, least, most] = [spread.median, spread.least, spread.most].map(show) as [
    string,
    string,
    string,
  ];
  return least === most ? median : `${median} (${least}-${most})`;
}

/**
 * One figure against another, round by round: what slows the machine down for a while slows both, so that ratios say more
 * than figures do, and agree where these do not.
 */
export function formatRatio(values: readonly number[], others: readonly number[] | undefined): string {
  if (others === undefined) return '';
  const ratios = sideBySide(values, others).map(([value, other]) => value / other);
  return formatSpread(spreadOf(ratios), (ratio) => ratio.toFixed(2));
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
