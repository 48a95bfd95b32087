import fc from 'fast-check';
import type { Balancer, Candidate } from '../../src/balance/balancer';

export interface TestCandidate extends Candidate {
  readonly name: string;
  weight: number;
  available: boolean;
  load: number;
}

export function candidate(name: string, weight = 1, available = true): TestCandidate {
  return { name, weight, available, load: 0 };
}

/** What every policy owes its callers, whatever it prefers. `make` builds the balancer under test. */
export function describeBalancer(
  policy: string,
  make: (candidates: readonly TestCandidate[]) => Balancer<TestCandidate>,
): void {
  describe(`${policy} as a balancer`, () => {
    test('picks nothing of nothing', () => {
      expect(make([]).pick('k', [])).toBeUndefined();
    });

    test('picks the only one, every time', () => {
      const only = candidate('a', 3);
      const balancer = make([only]);
      for (let i = 0; i < 10; i++) expect(balancer.pick(`k${i}`, [])).toBe(only);
    });

    test('picks nothing when all are unavailable, weightless or tried', () => {
      const [a, b, c] = [candidate('a', 1, false), candidate('b', 0), candidate('c')];
      expect(make([a, b, c]).pick('k', [c])).toBeUndefined();
    });

    test('follows availability and weight as they change', () => {
      const [a, b] = [candidate('a'), candidate('b')];
      const balancer = make([a, b]);
      a.available = false;
      for (let i = 0; i < 5; i++) expect(balancer.pick(`k${i}`, [])).toBe(b);
      a.available = true;
      b.weight = 0;
      for (let i = 0; i < 5; i++) expect(balancer.pick(`k${i}`, [])).toBe(a);
      a.available = false;
      expect(balancer.pick('k', [])).toBeUndefined();
    });

    test('tries every eligible candidate once before it gives up', () => {
      const candidates = [1, 5, 0, 2, 100].map((weight, i) => candidate(`c${i}`, weight));
      const balancer = make(candidates);
      const tried: TestCandidate[] = [];
      for (let next = balancer.pick('k', tried); next; next = balancer.pick('k', tried)) tried.push(next);
      expect(tried.map(({ name }) => name).sort()).toEqual(['c0', 'c1', 'c3', 'c4']);
    });

    test('every eligible candidate has its turn', () => {
      const candidates = [1, 2, 3, 10].map((weight, i) => candidate(`c${i}`, weight));
      const balancer = make(candidates);
      const picked = new Set<TestCandidate | undefined>();
      for (let i = 0; i < 5000; i++) {
        const each = balancer.pick(`key-${i}`, []);
        picked.add(each);
        // Connections that stay fill those that are picked.
        if (each !== undefined) each.load += 1;
      }
      expect(picked).toEqual(new Set(candidates));
    });

    test('only ever picks an eligible candidate, and one if there is any', () => {
      const step = fc.record({
        key: fc.string({ maxLength: 8 }),
        weights: fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 6, maxLength: 6 }),
        available: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
        loads: fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 }),
        tried: fc.uniqueArray(fc.nat(5), { maxLength: 6 }),
      });
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 20 }), (steps) => {
          const candidates = Array.from({ length: 6 }, (_, i) => candidate(`c${i}`));
          const balancer = make(candidates);
          for (const { key, weights, available, loads, tried } of steps) {
            candidates.forEach((each, i) =>
              Object.assign(each, { weight: weights[i], available: available[i], load: loads[i] }),
            );
            const triedOnes = candidates.filter((_, i) => tried.includes(i));
            const eligible = candidates.filter(
              (each) => each.weight > 0 && each.available && !triedOnes.includes(each),
            );
            const expected = eligible.length === 0 ? [undefined] : eligible;
            expect(expected).toContain(balancer.pick(key, triedOnes));
          }
        }),
        { numRuns: 300 },
      );
    });

    test('leaves its arguments alone', () => {
      const candidates = Object.freeze(
        [1, 2, 3].map((weight, i) => Object.freeze(candidate(`c${i}`, weight))),
      );
      const tried = Object.freeze(candidates.slice(0, 1));
      const balancer = make(candidates);
      for (let i = 0; i < 10; i++) expect(tried).not.toContain(balancer.pick(`k${i}`, tried));
    });
  });
}
