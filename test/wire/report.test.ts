import fc from 'fast-check';
import { ProtocolError, REPORT_BYTES } from '../../src/wire/frames';
import { countedBetween, readReport, writeReport } from '../../src/wire/report';

const uint32 = fc.nat(0xffffffff);
const totalMs = fc.double({ min: 0, max: 1e15, noNaN: true, noDefaultInfinity: true });

test('what an agent reports is read', () => {
  const report = fc.record({
    connections: uint32,
    commits: uint32,
    responses: uint32,
    serverErrors: uint32,
    totalMs,
    draining: fc.boolean(),
  });
  fc.assert(
    fc.property(report, fc.nat(20), (said, at) => {
      const bytes = Buffer.alloc(at + REPORT_BYTES);
      writeReport(said, bytes, at);
      const read = readReport(bytes, at, REPORT_BYTES);
      expect({ ...read, totalMs: read.totalMs + 0 }).toEqual({ ...said, totalMs: said.totalMs + 0 });
    }),
  );
});

test.each([0, 1, REPORT_BYTES - 1, REPORT_BYTES + 1])('a report of %i bytes is none', (length) => {
  expect(() => readReport(Buffer.alloc(100), 0, length)).toThrow(
    new ProtocolError('report of another length'),
  );
});

test.each([NaN, Infinity, -1])('a time of %d is none', (ms) => {
  const bytes = Buffer.alloc(REPORT_BYTES);
  bytes.writeDoubleBE(ms, 16);
  expect(() => readReport(bytes, 0, REPORT_BYTES)).toThrow(ProtocolError);
});

test('counts go on beyond 32 bits', () => {
  const earlier = { responses: 0xfffffffe, serverErrors: 0xffffffff, totalMs: 10 };
  expect(countedBetween(earlier, { responses: 3, serverErrors: 1, totalMs: 25 })).toEqual({
    responses: 5,
    serverErrors: 2,
    totalMs: 15,
  });
});
