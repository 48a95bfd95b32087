/**
 * `npm run soak` runs the same suites with the same assertions and more of everything: longer, and with larger counts.
 * Both are bounded.
 */
export const SOAK = process.env.BATON_SOAK === '1';

/** How much of something a suite does: in every CI run, or in a soak. */
export function amount(ci: number, soak: number): number {
  return SOAK ? soak : ci;
}
