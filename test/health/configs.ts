import type { OutlierConfig } from '../../src/config/model';

/** What `outliers: {}` of a pool is. */
export const OUTLIERS: OutlierConfig = {
  window: 10_000,
  min_responses: 20,
  errors: 0.5,
  failures: 5,
  eject: 10_000,
  max_eject: 300_000,
  max_share: 0.5,
};
