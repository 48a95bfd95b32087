import fc from 'fast-check';
import { ClientRates } from '../../src/front/client-rates';

/** A bucket as it is usually told: it fills up as time goes by, and a connection takes one token. */
class Bucket {
  private at = 0;

  constructor(
    private readonly perSecond: number,
    private readonly burst: number,
    private tokens = burst,
  ) {}

  take(now: number): boolean {
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) * this.perSecond) / 1000);
    this.at = now;
    if (this.tokens < 1) return false;
    this.tokens -= 1;
    return true;
  }
}

test('is a token bucket for each client', () => {
  const steps = fc.array(fc.record({ client: fc.nat(2), pause: fc.nat(4000) }), { maxLength: 200 });
  // Rates whose tokens take whole milliseconds, so that both sides count alike.
  const rate = fc.constantFrom(1, 2, 4, 5, 8, 10, 100, 125);
  fc.assert(
    fc.property(steps, rate, fc.integer({ min: 1, max: 20 }), (given, perSecond, burst) => {
      const rates = new ClientRates(perSecond, burst);
      const buckets = [0, 1, 2].map(() => new Bucket(perSecond * 1.000_001, burst));
      let now = 0;
      for (const { client, pause } of given) {
        now += pause;
        // A bucket that is full to a hair's breadth may be read either way.
        const expected = (buckets[client] as Bucket).take(now);
        expect(rates.take(`client-${client}`, now)).toBe(expected);
      }
    }),
    { numRuns: 300 },
  );
});

test('forgets whose bucket is full, and the oldest beyond a bound', () => {
  const rates = new ClientRates(1, 1);
  for (let k = 0; k < 70_000; k++) rates.take(`c${k}`, 0);
  expect(rates.size).toBeLessThanOrEqual(65_536 + 256);
  expect(rates.take('c0', 0)).toBe(true);
  expect(rates.take('c69999', 0)).toBe(false);
  for (let k = 0; k < 256; k++) rates.take('new', 5000 * (k + 1));
  expect(rates.size).toBe(1);
});
