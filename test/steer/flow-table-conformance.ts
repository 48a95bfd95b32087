/** What every FlowTable does, whoever holds it. */
import fc from 'fast-check';
import { formatFlow, makeFlow, parseAddress } from '../../src/kernel/flow';
import { monotonicNs, type FlowEntry, type FlowTable, type HandoffId } from '../../src/steer/flow-table';

const HOP = { address: parseAddress('198.18.0.21'), ifindex: 2 };
/** More than one batch of the kernel's walk. */
const MANY = 10_000;

function flowOf(number: number): Buffer {
  return makeFlow(`10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`, 40_000, '198.19.0.1', 80);
}

/** Everything in a table, copied during the visit, in an order that does not depend on the table. */
function contents(table: FlowTable): string[] {
  const lines: string[] = [];
  table.forEach(({ flow, backend, id }) => lines.push(lineOf(formatFlow(flow), backend, id)));
  return lines.sort();
}

function lineOf(flow: string, backend: number, { epoch, sequence }: HandoffId): string {
  return `${flow} ${backend} ${epoch}.${sequence}`;
}

/** Where the client stood at the handoff. */
const CLIENT = { sequence: 0xfffffff0, acknowledged: 0x80000001, initial: 0xffffffff };

/** `open` gives an empty table with room for `capacity` flows; `close` takes it back. */
export function describeFlowTable(
  open: (capacity: number) => FlowTable,
  close: (table: FlowTable) => void,
): void {
  let table: FlowTable;

  function openTable(capacity: number): FlowTable {
    return (table = open(capacity));
  }

  afterEach(() => close(table));

  test('tells how many flows there is room for', () => {
    expect(openTable(12).capacity).toBe(12);
  });

  test('gives back what was inserted, seen now and not yet steered', () => {
    openTable(10);
    const flow = makeFlow('2001:2::1', 65535, '2001:2:0:ff::1', 443);
    const before = monotonicNs();
    expect(table.insert(flow, HOP, 4095, 0xffffffff, 0xfffffffe, CLIENT)).toBe(true);
    const entry = table.get(flow);
    expect(entry).toMatchObject({
      backend: 4095,
      id: { epoch: 0xffffffff, sequence: 0xfffffffe },
      packets: 0,
      bytes: 0,
      client: CLIENT,
    });
    expect(entry?.flow).toEqual(flow);
    expect(entry?.created).toBe(entry?.lastSeen);
    expect(entry?.created).toBeGreaterThanOrEqual(before);
    expect(entry?.created).toBeLessThanOrEqual(monotonicNs());
  });

  test('keeps its own copy of the flow', () => {
    openTable(10);
    const flow = flowOf(1);
    table.insert(flow, HOP, 1, 1, 1, CLIENT);
    flowOf(2).copy(flow);
    expect(table.get(flow)).toBeUndefined();
    expect(table.get(flowOf(1))).toBeDefined();
  });

  test('does not know what was not inserted, not even a neighbour', () => {
    openTable(10);
    expect(contents(table)).toEqual([]);
    table.insert(makeFlow('198.18.1.1', 40000, '198.19.0.1', 80), HOP, 1, 1, 1, CLIENT);
    expect(table.get(makeFlow('198.18.1.1', 40001, '198.19.0.1', 80))).toBeUndefined();
    expect(table.get(makeFlow('198.18.1.1', 40000, '198.19.0.1', 81))).toBeUndefined();
    expect(table.get(makeFlow('198.18.1.1', 40000, '198.19.0.2', 80))).toBeUndefined();
    expect(table.get(makeFlow('198.18.1.2', 40000, '198.19.0.1', 80))).toBeUndefined();
  });

  test('a later handoff of a flow takes the place of the earlier one', () => {
    openTable(10);
    table.insert(flowOf(1), HOP, 1, 1, 1, CLIENT);
    expect(table.insert(flowOf(1), HOP, 2, 1, 2, CLIENT)).toBe(true);
    expect(contents(table)).toEqual([lineOf(formatFlow(flowOf(1)), 2, { epoch: 1, sequence: 2 })]);
  });

  test('steers a flow elsewhere where it is steered, and only there', () => {
    openTable(10);
    table.insert(flowOf(1), HOP, 1, 1, 1, CLIENT);
    expect(table.replace(flowOf(1), HOP, 2, 1, 2, CLIENT)).toBe(true);
    expect(table.replace(flowOf(2), HOP, 2, 1, 3, CLIENT)).toBe(false);
    expect(contents(table)).toEqual([lineOf(formatFlow(flowOf(1)), 2, { epoch: 1, sequence: 2 })]);
  });

  test('removes a flow for its own handoff only', () => {
    openTable(10);
    table.insert(flowOf(1), HOP, 1, 7, 9, CLIENT);
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 8 })).toBe(false);
    expect(table.remove(flowOf(1), { epoch: 6, sequence: 9 })).toBe(false);
    expect(table.remove(flowOf(1), { epoch: 9, sequence: 7 })).toBe(false);
    expect(table.remove(flowOf(2), { epoch: 7, sequence: 9 })).toBe(false);
    expect(table.get(flowOf(1))).toBeDefined();
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 9 })).toBe(true);
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 9 })).toBe(false);
    expect(table.get(flowOf(1))).toBeUndefined();
  });

  test('leaves a flow that was seen since', () => {
    openTable(10);
    table.insert(flowOf(1), HOP, 1, 7, 9, CLIENT);
    const lastSeen = table.get(flowOf(1))?.lastSeen ?? 0;
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 9 }, lastSeen - 1000)).toBe(false);
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 9 }, lastSeen)).toBe(false);
    expect(table.get(flowOf(1))).toBeDefined();
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 8 }, lastSeen + 1000)).toBe(false);
    expect(table.remove(flowOf(1), { epoch: 7, sequence: 9 }, lastSeen + 1000)).toBe(true);
  });

  test('a review removes what was silent, visits the rest, and passes over what it does not know', () => {
    openTable(MANY);
    // Every second one is asked for by another handoff than its own.
    const asked = Array.from({ length: 1000 }, (_, i) => {
      table.insert(flowOf(i), HOP, i % 7, 0xffffffff, i, CLIENT);
      return { flow: flowOf(i), id: { epoch: 0xffffffff, sequence: i % 2 === 0 ? i : MANY + i } };
    });
    asked.push({ flow: flowOf(MANY), id: { epoch: 0xffffffff, sequence: 1 } });
    const visited: (readonly [number, number])[] = [];
    const visit = (index: number, backend: number, lastSeen: number): void => {
      expect(lastSeen).toBe(table.get(flowOf(index))?.lastSeen);
      visited.push([index, backend]);
    };
    const own = Array.from({ length: 500 }, (_, i) => [2 * i, (2 * i) % 7] as const);

    table.review(asked, 0, visit);
    expect(visited.splice(0)).toEqual(own);
    // The first half was seen before this, the second since.
    const middle = table.get(flowOf(500))?.lastSeen ?? 0;
    table.review(asked, middle, visit);
    const seenSince = own.filter(([index]) => (table.get(flowOf(index))?.lastSeen ?? 0) >= middle);
    expect(visited.splice(0)).toEqual(seenSince);
    expect(seenSince.length).toBeLessThan(500);
    table.review(asked, monotonicNs() + 1, visit);
    expect([visited, contents(table).length]).toEqual([[], 500]);
    table.review([], monotonicNs(), visit);
  });

  test('a full table refuses new flows and keeps the old ones', () => {
    openTable(100);
    for (let i = 0; i < 100; i++) expect(table.insert(flowOf(i), HOP, i, 1, i, CLIENT)).toBe(true);
    const before = contents(table);
    for (let i = 100; i < 200; i++) expect(table.insert(flowOf(i), HOP, i, 1, i, CLIENT)).toBe(false);
    expect(contents(table)).toEqual(before);
    expect(before).toHaveLength(100);

    // A flow that is in it may be handed off again, and one that leaves makes room for one.
    expect(table.insert(flowOf(5), HOP, 5, 2, 5, CLIENT)).toBe(true);
    expect(table.remove(flowOf(6), { epoch: 1, sequence: 6 })).toBe(true);
    expect(table.insert(flowOf(100), HOP, 1, 1, 1, CLIENT)).toBe(true);
    expect(table.insert(flowOf(101), HOP, 1, 1, 1, CLIENT)).toBe(false);
  });

  test('visits every flow once', () => {
    openTable(MANY);
    const wanted: string[] = [];
    for (let i = 0; i < MANY; i++) {
      table.insert(flowOf(i), HOP, i % 7, 3, i, CLIENT);
      wanted.push(lineOf(formatFlow(flowOf(i)), i % 7, { epoch: 3, sequence: i }));
    }
    expect(contents(table)).toEqual(wanted.sort());
  });

  test('may be changed while it is visited', () => {
    openTable(MANY);
    for (let i = 0; i < MANY; i++) table.insert(flowOf(i), HOP, 1, 3, i, CLIENT);
    table.forEach(({ flow, id }) => table.remove(Buffer.from(flow), id));
    table.forEach(({ flow, id }) => table.remove(Buffer.from(flow), id));
    expect(contents(table)).toEqual([]);
  });

  test('finds what has been silent, and what has not', () => {
    openTable(MANY);
    const before = monotonicNs();
    for (let i = 0; i < MANY; i++) table.insert(flowOf(i), HOP, 1, 3, i, CLIENT);
    const silent = (since: number): string[] =>
      [...table.silent(since)]
        .flat()
        .map(({ flow, id }) => lineOf(formatFlow(flow), 1, id))
        .sort();
    expect(silent(before)).toEqual([]);
    expect(silent(monotonicNs() + 1)).toEqual(contents(table));
  });

  test('does what a plain map does, whatever the order', () => {
    openTable(3);
    const operation = fc.record({
      kind: fc.constantFrom('insert', 'remove', 'get'),
      flow: fc.nat(5),
      sequence: fc.nat(2),
      backend: fc.nat(4095),
    });
    let refused = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 10, maxLength: 60 }), (operations) => {
        table.forEach(({ flow, id }) => table.remove(Buffer.from(flow), id));
        const model = new Map<number, { backend: number; sequence: number }>();
        for (const { kind, flow, sequence, backend } of operations) {
          const known = model.get(flow);
          if (kind === 'insert') {
            const fits = known !== undefined || model.size < 3;
            expect(table.insert(flowOf(flow), HOP, backend, 1, sequence, CLIENT)).toBe(fits);
            if (fits) model.set(flow, { backend, sequence });
            else refused += 1;
          } else if (kind === 'remove') {
            const fits = known?.sequence === sequence;
            expect(table.remove(flowOf(flow), { epoch: 1, sequence })).toBe(fits);
            if (fits) model.delete(flow);
          } else {
            expect(briefly(table.get(flowOf(flow)))).toEqual(known);
          }
        }
        expect(contents(table)).toHaveLength(model.size);
      }),
      { numRuns: 300 },
    );
    expect(refused).toBeGreaterThan(0);
  });
}

function briefly(entry: FlowEntry | undefined): { backend: number; sequence: number } | undefined {
  return entry === undefined ? undefined : { backend: entry.backend, sequence: entry.id.sequence };
}
