import { Owners } from '../../src/front/owners';

const moved = (flow: string, from: string, to: string) => ({ flow, from, to, reason: 'drain' as const });

test('the moves of a flow are listed, oldest first', () => {
  const owners = new Owners();
  owners.moved(moved('a', 'b1', 'b2'));
  owners.moved(moved('b', 'b1', 'b3'));
  owners.moved(moved('a', 'b2', 'b1'));
  expect(owners.of('a')).toMatchObject([
    { from: 'b1', to: 'b2', reason: 'drain' },
    { from: 'b2', to: 'b1', reason: 'drain' },
  ]);
  expect(owners.of('a')[0]?.at).toMatch(/^\d{4}-\d\d-\d\dT/);
  expect(owners.of('c')).toEqual([]);
});

test('the latest are kept: 16 of a flow, and those of 4096 flows', () => {
  const owners = new Owners();
  for (let n = 0; n < 20; n++) owners.moved(moved('a', `b${n}`, `b${n + 1}`));
  expect(owners.of('a').map(({ from }) => from)).toEqual(Array.from({ length: 16 }, (_, n) => `b${n + 4}`));
  for (let n = 0; n < 4095; n++) owners.moved(moved(`f${n}`, 'b1', 'b2'));
  owners.moved(moved('a', 'b20', 'b21'));
  owners.moved(moved('f4095', 'b1', 'b2'));
  expect([owners.of('a').length, owners.of('f0').length, owners.of('f1').length]).toEqual([16, 0, 1]);
});
