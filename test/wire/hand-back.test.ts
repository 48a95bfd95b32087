import fc from 'fast-check';
import { makeFlow } from '../../src/kernel/flow';
import { MOVE_REASONS, readWish, wishLength, writeWish } from '../../src/wire/hand-back';
import { readHandBack, readMove } from '../../src/wire/records';
import { idPayload } from './raw-peer';

const name = fc.stringMatching(/^[A-Za-z0-9._-]{0,64}$/);
const wishes = fc.record({ reason: fc.constantFrom(...MOVE_REASONS), pool: name, backend: name });

function bytesOf(wish: Parameters<typeof writeWish>[0]): Buffer {
  const bytes = Buffer.alloc(wishLength(wish));
  writeWish(wish, bytes, 0);
  return bytes;
}

test('a wish is read as it was written, wherever it lies', () => {
  fc.assert(
    fc.property(wishes, fc.nat(20), (wish, before) => {
      const bytes = Buffer.concat([Buffer.alloc(before, 0xee), bytesOf(wish), Buffer.alloc(5, 0xee)]);
      expect(readWish(bytes, before, bytes.length - 5)).toEqual(wish);
    }),
  );
});

test('a wish that is cut short is refused, wherever it is cut', () => {
  fc.assert(
    fc.property(wishes, (wish) => {
      const bytes = bytesOf(wish);
      for (let end = 0; end < bytes.length; end++)
        expect(() => readWish(bytes, 0, end)).toThrow('a wish that is cut short');
    }),
  );
});

test.each([
  ['an unknown reason', Buffer.from([200, 0, 0])],
  ['a name that is none', Buffer.from([0, 1, 0x0a, 0])],
  ['cut short', Buffer.from([0, 65, ...Buffer.alloc(65, 0x61), 0])],
])('a wish with %s is refused', (what, bytes) => {
  expect(() => readWish(bytes, 0, bytes.length)).toThrow(what);
});

test('the snapshot of a hand back begins behind the wish, and may be as short as it likes', () => {
  const wish = { reason: 'route', pool: 'web', backend: 'b1' } as const;
  const bytes = Buffer.concat([idPayload(1, 2), bytesOf(wish), Buffer.from('snapshot')]);
  const { snapshotAt, ...read } = readHandBack(bytes, 0, bytes.length);
  expect(read).toEqual({ id: { epoch: 1, sequence: 2 }, wish });
  expect(bytes.toString('latin1', snapshotAt)).toBe('snapshot');
  expect(readHandBack(bytes, 0, bytes.length - 8).snapshotAt).toBe(bytes.length - 8);
});

test('a move names a flow, its handoff and what is wanted', () => {
  const flow = makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80);
  const wish = { reason: 'move', pool: '', backend: 'b2' } as const;
  const bytes = Buffer.concat([flow, idPayload(1, 2), bytesOf(wish)]);
  expect(readMove(bytes, 0, bytes.length)).toEqual({ flow, id: { epoch: 1, sequence: 2 }, wish });
  expect(() => readMove(bytes, 0, 43)).toThrow('a move of no flow');
});
