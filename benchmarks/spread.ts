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

/** `median (least-most)`, each as `show` writes it. */
export function formatSpread(spread: Spread, show: (value: number) => string): string {
  return `${show(spread.median)} (${show(spread.least)}-${show(spread.most)})`;
}

/** One spread against another, by their medians. */
export function formatRatio(spread: Spread, other: Spread | undefined): string {
  return other === undefined ? '' : (spread.median / other.median).toFixed(2);
}
