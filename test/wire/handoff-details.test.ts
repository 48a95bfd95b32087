import fc from 'fast-check';
import { MAX_DETAILS_BYTES, ProtocolError } from '../../src/wire/frames';
import {
  detailsLength,
  encodeNames,
  readDetails,
  writeDetails,
  type HandoffDetails,
} from '../../src/wire/handoff-details';

/** As they lie in a frame: between other octets. */
function written(ms: number, route: string, pool: string): { bytes: Buffer; at: number; length: number } {
  const names = encodeNames(route, pool);
  const length = detailsLength(names);
  const bytes = Buffer.alloc(length + 20, 0x61);
  writeDetails(ms, names, bytes, 10);
  return { bytes, at: 10, length };
}

test('what a front writes is what an agent reads', () => {
  const route = fc.stringMatching(/^[A-Za-z0-9._#-]{1,72}$/);
  const pool = fc.stringMatching(/^[A-Za-z0-9._-]{1,64}$/);
  const micros = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(route, pool, micros, (route, pool, micros) => {
      const { bytes, at, length } = written(micros / 1000, route, pool);
      expect(length).toBeLessThanOrEqual(MAX_DETAILS_BYTES);
      const details: HandoffDetails = { micros, route, pool };
      expect(readDetails(bytes, at, length)).toEqual(details);
      expect(bytes.subarray(0, at).every((octet) => octet === 0x61)).toBe(true);
      expect(bytes.subarray(at + length).every((octet) => octet === 0x61)).toBe(true);
    }),
  );
});

test('the longest that there can be are as long as a frame may be', () => {
  expect(detailsLength(encodeNames('r'.repeat(72), 'p'.repeat(64)))).toBe(MAX_DETAILS_BYTES);
});

test('a time beyond an hour and eleven minutes is the longest one', () => {
  const { bytes, at, length } = written(1e12, 'r', 'p');
  expect(readDetails(bytes, at, length).micros).toBe(0xffffffff);
});

test.each<[string, number[]]>([
  ['nothing', []],
  ['half a time', [0, 0]],
  ['a time alone', [0, 0, 0, 1]],
  ['no route', [0, 0, 0, 1, 0, 0x61]],
  ['no pool', [0, 0, 0, 1, 1, 0x61]],
  ['a route that goes on behind the end', [0, 0, 0, 1, 200, 0x61, 0x61]],
  ['a route of two lines', [0, 0, 0, 1, 3, 0x61, 0x0a, 0x61, 0x61]],
  ['a pool with an escape', [0, 0, 0, 1, 1, 0x61, 0x1b, 0x5b]],
  ['a pool beyond ASCII', [0, 0, 0, 1, 1, 0x61, 0xe9]],
  ['a pool with a "#"', [0, 0, 0, 1, 1, 0x61, 0x23]],
])('%s is refused', (_, octets) => {
  // Whatever lies behind is no part of it.
  const bytes = Buffer.from([...octets, 0x61, 0x61, 0x61]);
  expect(() => readDetails(bytes, 0, octets.length)).toThrow(ProtocolError);
});
