/** setTimeout keeps its delay in a signed 32-bit number of milliseconds; this is the largest whole day below it. */
const MAX_DURATION_MS = 24 * 24 * 3600 * 1000;

const UNIT_MS = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
]);

// The number of digits is bounded so that the product below stays an exact integer.
const DURATION = /^(\d{1,12}(?:\.\d{1,6})?)(ms|s|m|h)$/;

/** How a duration is spelled, for messages and the reference. */
export const DURATION_SPELLING = 'a duration such as 500ms, 1.5s, 2m or 1h, up to 24 days';

/**
 * `10s`, `500ms`, `1.5h` -> milliseconds, rounded to whole ones.
 * Undefined for any other text, for zero and for more than 24 days, which no timer can wait.
 */
export function parseDuration(text: string): number | undefined {
  const match = DURATION.exec(text);
  if (!match) return undefined;
  const milliseconds = Math.round(Number(match[1]) * (UNIT_MS.get(match[2] ?? '') ?? NaN));
  return milliseconds >= 1 && milliseconds <= MAX_DURATION_MS ? milliseconds : undefined;
}
