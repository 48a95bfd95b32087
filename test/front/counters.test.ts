import { Counters } from '../../src/front/counters';
import { HandoffIds } from '../../src/front/handoff-ids';

test('counters count by label', () => {
  const counters = new Counters();
  expect([...counters.entries()]).toEqual([]);
  for (const label of ['a', 'b', 'a', 'toString', 'a']) counters.add(label);
  expect([...counters.entries()]).toEqual([
    ['a', 3],
    ['b', 1],
    ['toString', 1],
  ]);
});

test('no two handoffs of a thread have the same id, nor those of two threads', () => {
  const ids = new HandoffIds();
  const given = Array.from({ length: 1000 }, () => ids.next());
  expect(new Set(given).size).toBe(1000);
  expect(given.every((id) => id > 0 && id <= 0xffffffff)).toBe(true);
  const epochs = Array.from({ length: 100 }, () => new HandoffIds().epoch);
  expect(new Set(epochs).size).toBe(100);
});
