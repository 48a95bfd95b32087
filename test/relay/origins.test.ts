import { DEFAULT_LIMITS, MAX_ORIGINS } from '../../src/relay/limits';
import { Origins } from '../../src/relay/origins';

const port = (i: number): string => `http://127.0.0.1:${i + 1}`;

test('one pool per origin', async () => {
  const origins = new Origins(DEFAULT_LIMITS);
  expect(origins.pool(port(1))).toBe(origins.pool(port(1)));
  expect(origins.pool(port(1))).not.toBe(origins.pool(port(2)));
  await origins.close();
});

test('too many origins close the oldest pool', async () => {
  const origins = new Origins(DEFAULT_LIMITS);
  const first = origins.pool(port(0));
  for (let i = 1; i < MAX_ORIGINS; i++) origins.pool(port(i));
  expect([first.closed, origins.pool(port(0))]).toEqual([false, first]);
  origins.pool(port(MAX_ORIGINS));
  expect(first.closed).toBe(true);
  expect(origins.pool(port(0))).not.toBe(first);
  await origins.destroy();
});

test('no origin', () => {
  expect(() => new Origins(DEFAULT_LIMITS).pool('nonsense')).toThrow('Invalid URL');
});

test('may be closed after it was destroyed', async () => {
  const origins = new Origins(DEFAULT_LIMITS);
  const pool = origins.pool(port(1));
  await origins.destroy();
  expect(pool.destroyed).toBe(true);
  await origins.close();
});
