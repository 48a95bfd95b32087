import fc from 'fast-check';
import { monotonicNs, sameHandoff } from '../../src/steer/flow-table';
import * as layout from '../../src/steer/layout';

describe('64-bit integers', () => {
  test('are written as the kernel has them', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(8), (value, offset) => {
        const bytes = Buffer.alloc(16, 0xee);
        layout.writeU64(bytes, value, offset);
        expect(bytes.readBigUInt64LE(offset)).toBe(BigInt(value));
        expect(layout.readU64(bytes, offset)).toBe(value);
        bytes.fill(0xee, offset, offset + 8);
        expect(bytes).toEqual(Buffer.alloc(16, 0xee));
      }),
      { numRuns: 2000 },
    );
  });

  test.each([0, 1, 0xffffffff, 0x100000000, 0x1ffffffff, Number.MAX_SAFE_INTEGER])('%i', (value) => {
    const bytes = Buffer.alloc(8);
    layout.writeU64(bytes, value, 0);
    expect(layout.readU64(bytes, 0)).toBe(value);
  });

  test('beyond 2^53 are read to within a rounding', () => {
    const bytes = Buffer.alloc(8, 0xff);
    expect(layout.readU64(bytes, 0)).toBe(2 ** 64);
  });
});

test('the clock is CLOCK_MONOTONIC, and never goes back', () => {
  const samples = Array.from({ length: 1000 }, () => {
    const before = Number(process.hrtime.bigint());
    return { before, now: monotonicNs(), after: Number(process.hrtime.bigint()) };
  });
  // Two clocks of Node over the same one of the kernel: they differ by what lay between reading both at start.
  const apart = samples.map(({ before, now, after }) => Math.max(before - now, now - after, 0));
  process.stdout.write(`clock: at most ${Math.max(...apart)} ns apart in ${samples.length} samples\n`);
  expect(Math.max(...apart)).toBeLessThan(100_000);
  const times = samples.map(({ now }) => now);
  expect(times).toEqual(times.toSorted((a, b) => a - b));
});

test('a handoff is the same when epoch and sequence are', () => {
  const id = { epoch: 1, sequence: 2 };
  expect(sameHandoff(id, { ...id })).toBe(true);
  expect(sameHandoff(id, { epoch: 1, sequence: 3 })).toBe(false);
  expect(sameHandoff(id, { epoch: 2, sequence: 2 })).toBe(false);
});
