import fc from 'fast-check';
import { Estate, type HeldRecord } from '../../src/agent/estate';
import { recordOf, sentRecord } from '../../src/agent/succession-messages';
import { makeFlow } from '../../src/kernel/flow';
import { sameHandoff } from '../../src/steer/flow-table';

const flowOf = (port: number): Buffer => makeFlow('198.18.1.1', 40_000 + port, '198.19.0.1', 80);

const record = fc.record({
  flow: fc.nat(3).map(flowOf),
  id: fc.record({ epoch: fc.nat(1), sequence: fc.nat(2) }),
  front: fc.constantFrom('f1', 'f2'),
});

const same = (a: HeldRecord, b: HeldRecord): boolean => a.flow.equals(b.flow) && sameHandoff(a.id, b.id);

test('has what was added and not removed, and knows the front of the latest of each flow', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), record)), (steps) => {
      const estate = new Estate();
      let all: HeldRecord[] = [];
      const latest = new Map<string, HeldRecord>();
      for (const [adds, each] of steps) {
        const key = each.flow.toString('latin1');
        const known = all.some((other) => same(other, each));
        all = all.filter((other) => !same(other, each));
        if (adds) {
          estate.add(each);
          all.push(each);
          latest.set(key, each);
        } else {
          expect(estate.remove(each)).toBe(known);
          const last = latest.get(key);
          if (last !== undefined && same(last, each)) latest.delete(key);
        }
        expect(estate.size).toBe(all.length);
        expect(estate.holderOf(key)).toBe(latest.get(key)?.front);
      }
      const sorted = (records: Iterable<HeldRecord>): string[] =>
        [...records].map((each) => JSON.stringify(each)).sort();
      expect(sorted(estate)).toEqual(sorted(all));
      expect(sorted(estate.clear())).toEqual(sorted(all));
      expect([estate.size, ...estate]).toEqual([0]);
    }),
  );
});

test('records come through the messages of a succession as they are', () => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  const any = fc.record({
    flow: fc.uint8Array({ minLength: 36, maxLength: 36 }).map((bytes) => Buffer.from(bytes)),
    id: fc.record({ epoch: word, sequence: word }),
  });
  fc.assert(
    fc.property(any, (each) => {
      const sent: unknown = JSON.parse(JSON.stringify(sentRecord(each)));
      expect(recordOf(sent as ReturnType<typeof sentRecord>)).toEqual(each);
    }),
  );
});
