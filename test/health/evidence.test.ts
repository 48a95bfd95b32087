import fc from 'fast-check';
import { Evidence } from '../../src/health/evidence';
import { ResponseWindow } from '../../src/health/response-window';
import type { ResponseCounts } from '../../src/wire/report';
import { OUTLIERS } from './configs';

const counts = (responses: number, serverErrors = 0, totalMs = 0): ResponseCounts => ({
  responses,
  serverErrors,
  totalMs,
});

describe('ResponseWindow', () => {
  test('has what came within its length, to within a twentieth of it', () => {
    const steps = fc.array(fc.record({ wait: fc.nat(600), responses: fc.nat(100) }), { maxLength: 60 });
    fc.assert(
      fc.property(steps, fc.nat(2000), (history, rest) => {
        const window = new ResponseWindow(1000);
        let now = 0;
        const all = history.map(({ wait, responses }) => {
          now += wait;
          window.add(counts(responses, responses, 2 * responses), now);
          return { at: now, responses };
        });
        now += rest;
        const within = (length: number): number =>
          all.filter(({ at }) => at > now - length).reduce((sum, { responses }) => sum + responses, 0);
        const { responses, serverErrors, totalMs } = window.total(now);
        expect([serverErrors, totalMs]).toEqual([responses, 2 * responses]);
        expect(responses).toBeLessThanOrEqual(within(1000));
        expect(responses).toBeGreaterThanOrEqual(within(950));
      }),
    );
  });
});

describe('Evidence', () => {
  test.each<[string, ResponseCounts, string | undefined]>([
    ['too few responses to say', counts(19, 19, 1e6), undefined],
    ['errors below the share', counts(20, 9), undefined],
    ['errors', counts(20, 10), 'errors: 10 of 20 responses in 10 s were 5xx'],
    ['as slow as it may be', counts(20, 0, 40_000), undefined],
    ['latency', counts(20, 0, 48_004), 'latency: 20 responses in 10 s took 2400 ms each in the mean'],
    ['errors before latency', counts(100, 60, 1e6), 'errors: 60 of 100 responses in 10 s were 5xx'],
    ['more errors than there can be', counts(20, 4_000_000), 'errors: 20 of 20 responses in 10 s were 5xx'],
  ])('%s', (_what, reported, expected) => {
    const evidence = new Evidence({ ...OUTLIERS, latency: 2000 });
    evidence.responded(reported, 0);
    const found = evidence.finding(1);
    expect(found && `${found.cause}: ${found.detail}`).toBe(expected);
  });

  test('without a limit any latency will do', () => {
    const evidence = new Evidence(OUTLIERS);
    evidence.responded(counts(20, 0, 1e9), 0);
    expect(evidence.finding(0)).toBeUndefined();
  });

  test('adds up over the window and forgets behind it', () => {
    const evidence = new Evidence(OUTLIERS);
    evidence.responded(counts(15, 15), 0);
    expect(evidence.finding(0)).toBeUndefined();
    evidence.responded(counts(15, 0), 5000);
    expect(evidence.finding(5000)?.detail).toBe('15 of 30 responses in 10 s were 5xx');
    evidence.responded(counts(1, 0), 6000);
    expect(evidence.finding(6000)).toBeUndefined();
    evidence.responded(counts(10, 10), 9000);
    expect(evidence.finding(9000)?.detail).toBe('25 of 41 responses in 10 s were 5xx');
    expect(evidence.finding(10_000)).toBeUndefined();
  });

  test('failures of one thread are enough, until it recovers or says no more', () => {
    const evidence = new Evidence(OUTLIERS);
    evidence.failing(1, { count: 5, result: 'timeout' }, 0);
    evidence.failing(2, { count: 10, result: 'rejected' }, 5000);
    expect(evidence.finding(5000)?.detail).toBe('5 handoffs in a row failed, the last one: timeout');
    evidence.recovered(1);
    expect(evidence.finding(5000)).toEqual({
      cause: 'failures',
      detail: '10 handoffs in a row failed, the last one: rejected',
    });
    expect(evidence.finding(14_999)).toBeDefined();
    expect(evidence.finding(15_000)).toBeUndefined();
  });

  test('nothing is left of it once it is cleared', () => {
    const evidence = new Evidence(OUTLIERS);
    evidence.responded(counts(50, 50), 0);
    evidence.failing(1, { count: 5, result: 'timeout' }, 0);
    evidence.clear();
    expect(evidence.finding(0)).toBeUndefined();
  });
});
