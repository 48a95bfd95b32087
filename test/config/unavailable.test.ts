import { parseFrontConfig } from '../../src/config/load';
import { FRONT, compare } from './texts';
import type { ProblemCase } from './texts';

const CASES: ProblemCase[] = [
  ['protocol: http', 'protocol: ¶tls', 'protocol tls is not available in this version'],
];

test.each(CASES)('front: %j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, FRONT, problemCase);
  expect(actual).toEqual(expected);
});
