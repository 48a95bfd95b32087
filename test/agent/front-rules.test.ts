import { FrontRules } from '../../src/agent/front-rules';
import { ProtocolError } from '../../src/wire/frames';
import type { RoutingTable } from '../../src/wire/routing-table';
import { TABLE, tableText } from './gated';

const payload = (head_bytes = 16_384, table: RoutingTable = TABLE): Buffer =>
  Buffer.from(tableText({ ...table, head_bytes }));

test('connections go by their channel, then by the newest of their front, then by the last it had', () => {
  const fronts = new FrontRules();
  const first = fronts.open('f1', payload(1000));
  const sibling = fronts.open('f1', payload(1000));
  const other = fronts.open('f2', payload(5000));
  expect(sibling.own).toBe(first.own);
  const left = first.join();
  expect(first.current.headBytes).toBe(1000);
  const second = fronts.open('f1', payload(2000));
  expect(first.current.headBytes).toBe(1000);
  first.close();
  expect(first.current.headBytes).toBe(2000);
  // The old generation's other thread is open yet, but it is the older.
  sibling.close();
  expect(first.current.headBytes).toBe(2000);
  second.close();
  other.close();
  expect(first.current.headBytes).toBe(2000);
  const third = fronts.open('f1', payload(3000));
  expect(first.current.headBytes).toBe(3000);
  third.close();
  left();
  expect(fronts.size).toEqual({ tables: 0, fronts: 0 });
});

test('a front that is gone is forgotten with its last connection', () => {
  const fronts = new FrontRules();
  const channel = fronts.open('f1', payload());
  const left = [channel.join(), channel.join()];
  channel.close();
  expect(fronts.size).toEqual({ tables: 0, fronts: 1 });
  for (const each of left) each();
  expect(fronts.size).toEqual({ tables: 0, fronts: 0 });
});

test('what is inherited judges until the front itself has said, and is forgotten with who left it', () => {
  const fronts = new FrontRules();
  fronts.inherit('f1', payload(1000).toString());
  expect(fronts.inheritedOf('f2')).toBeUndefined();
  const early = fronts.inheritedOf('f1');
  fronts.inherit('f1', payload(2000).toString());
  const late = fronts.inheritedOf('f1');
  const heads = (): (number | undefined)[] => [early, late].map((rules) => rules?.current.headBytes);
  const left = [early?.join(), late?.join()];
  expect(heads()).toEqual([2000, 2000]);
  const own = fronts.open('f1', payload(3000));
  expect(heads()).toEqual([3000, 3000]);
  fronts.forgetInherited();
  expect(fronts.inheritedOf('f1')).toBeUndefined();
  expect(heads()).toEqual([3000, 3000]);
  own.close();
  expect(heads()).toEqual([3000, 3000]);
  for (const each of left) each?.();
  expect(fronts.size).toEqual({ tables: 0, fronts: 0 });
});

test('the newest table of each front can be left to another process, as it came', () => {
  const fronts = new FrontRules();
  const old = fronts.open('f1', payload(1000));
  fronts.open('f2', payload(1000));
  const left = old.join();
  expect(fronts.newest.map(({ front }) => front)).toEqual(['f1', 'f2']);
  const second = fronts.open('f1', payload(2000));
  expect(fronts.newest[0]).toEqual({ front: 'f1', table: payload(2000).toString() });
  second.close();
  old.close();
  // Its connection is judged by that one.
  expect(fronts.newest[0]).toEqual({ front: 'f1', table: payload(2000).toString() });
  left();
  expect(fronts.newest.map(({ front }) => front)).toEqual(['f2']);
});

test.each<[string, Partial<RoutingTable>]>([
  ['to a pool that there is not', { routes: [{ pool: 'none' }] }],
  ['that nobody has a share of', { routes: [{ split: { pools: [{ name: 'a', weight: 0 }] } }] }],
  ['of a split without pools', { routes: [{ split: { pools: [] } }] }],
  ['redirected to where a client says', { routes: [{ redirect: { to: 'https://{path}', status: 308 } }] }],
])('a table with a route %s is refused', (_what, part) => {
  const fronts = new FrontRules();
  expect(() => fronts.open('f1', payload(1000, { ...TABLE, ...part }))).toThrow(ProtocolError);
  expect(fronts.size).toEqual({ tables: 0, fronts: 0 });
});
