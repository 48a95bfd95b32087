import { complaintAbout } from '../../benchmarks/micro/ratios';

const RATIOS = { measured: 'today', ratios: { peek: 2 } };

/** A call that took so long, where the yardstick took half a microsecond. */
function costOf(call: number, name = 'peek') {
  return { name, yardstick: 'scan', call, unit: 0.5 } as const;
}

test('twice the known ratio is the most that a function may cost', () => {
  expect(complaintAbout(costOf(1), RATIOS)).toBeUndefined();
  expect(complaintAbout(costOf(2), RATIOS)).toBeUndefined();
  expect(complaintAbout(costOf(2.1), RATIOS)).toBe(
    'peek takes 2.10 µs, and may take 2.00 µs: 2 x 2.00 scans of 0.50 µs each',
  );
});

test('what has no ratio is not passed over', () => {
  expect(complaintAbout(costOf(1, 'new one'), RATIOS)).toBe('new one: no ratio is known, see --ratios');
});
