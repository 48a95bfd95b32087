import { didYouMean } from '../../src/config/nearest';

const KEYS = ['timeout', 'interval', 'http', 'via'];

test.each([
  ['tiemout', ': did you mean "timeout"?'],
  ['timeouts', ': did you mean "timeout"?'],
  ['Interval', ': did you mean "interval"?'],
  ['htp', ': did you mean "http"?'],
  ['vai', ''],
  ['port', ''],
  ['', ''],
  ['t'.repeat(100_000), ''],
])('%.20s%s', (name, hint) => {
  expect(didYouMean(name, KEYS)).toBe(hint);
});

test('the closest of several wins', () => {
  expect(didYouMean('web3', ['web-30', 'web', 'api'])).toBe(': did you mean "web"?');
});
