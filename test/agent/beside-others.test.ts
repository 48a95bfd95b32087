import { EventEmitter } from 'node:events';
import { listenBesideOthers } from '../../src/agent/beside-others';

let emitter: EventEmitter;
let heard: string[];
const ours = (): void => void heard.push('ours');
const other = (): void => void heard.push('other');

beforeEach(() => {
  emitter = new EventEmitter();
  heard = [];
});

test('nobody listens where no other does', () => {
  listenBesideOthers(emitter, 'upgrade', ours);
  emitter.on('request', other);
  expect([emitter.emit('upgrade'), emitter.listenerCount('upgrade')]).toEqual([false, 0]);
});

test.each([
  ['before', true],
  ['after', false],
])('one that came %s is told second, and for as long as it listens', (_, before) => {
  if (before) emitter.on('upgrade', other);
  listenBesideOthers(emitter, 'upgrade', ours);
  if (!before) emitter.on('upgrade', other);
  emitter.emit('upgrade');
  expect(heard).toEqual(['ours', 'other']);
  emitter.off('upgrade', other);
  expect(emitter.listenerCount('upgrade')).toBe(0);
  emitter.once('upgrade', other);
  emitter.emit('upgrade');
  expect(heard).toEqual(['ours', 'other', 'ours', 'other']);
  expect(emitter.emit('upgrade')).toBe(false);
});

test('several others', () => {
  const end = listenBesideOthers(emitter, 'upgrade', ours);
  emitter.on('upgrade', other).prependListener('upgrade', other).off('upgrade', other);
  emitter.emit('upgrade');
  expect(heard.sort()).toEqual(['other', 'ours']);
  end();
  emitter.emit('upgrade');
  expect(heard).toEqual(['other', 'ours', 'other']);
  emitter.removeAllListeners('upgrade');
  emitter.on('upgrade', other);
  expect(emitter.listenerCount('upgrade')).toBe(1);
});

test('an emitter that forgets all its listeners', () => {
  emitter.on('upgrade', other);
  listenBesideOthers(emitter, 'upgrade', ours);
  emitter.removeAllListeners('upgrade');
  expect(emitter.listenerCount('upgrade')).toBe(0);
  emitter.on('upgrade', other);
  emitter.emit('upgrade');
  expect(heard).toEqual(['ours', 'other']);
});
