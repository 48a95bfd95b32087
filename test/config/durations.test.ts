import fc from 'fast-check';
import { parseDuration } from '../../src/config/durations';

test.each([
  ['1ms', 1],
  ['500ms', 500],
  ['10s', 10_000],
  ['1.5s', 1500],
  ['0.0015s', 2],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['576h', 2_073_600_000],
])('%s is %d ms', (text, milliseconds) => {
  expect(parseDuration(text)).toBe(milliseconds);
});

test.each([
  '',
  '10',
  's',
  '-1s',
  '0s',
  '0.0001s',
  '576.1h',
  '1d',
  '1 s',
  '1S',
  '.5s',
  '1.s',
  '1e3s',
  '99999999999999h',
])('%j is no duration', (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test('every duration fits into a timer', () => {
  const numbers = fc.double({ min: 0, noNaN: true }).map(String);
  fc.assert(
    fc.property(numbers, fc.constantFrom('ms', 's', 'm', 'h'), (number, unit) => {
      const milliseconds = parseDuration(number + unit) ?? 1;
      return Number.isInteger(milliseconds) && milliseconds >= 1 && milliseconds < 2 ** 31;
    }),
  );
});
