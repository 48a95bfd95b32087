import type { Socket } from 'node:net';
import type { LiveConnection } from '../../src/agent/live-connections';
import { Undelivered, type FindSocket } from '../../src/agent/undelivered';
import { KernelError } from '../../src/kernel/errors';
import { makeFlow } from '../../src/kernel/flow';

type Found = ReturnType<FindSocket>;

const ORPHAN = { orphan: true, unacknowledged: 1000 };

let found: Map<string, Found | Error>;
let live: Set<string>;
let looks: number;
let delivered: number[];
let undelivered: Undelivered;

beforeEach(() => {
  jest.useFakeTimers();
  found = new Map();
  live = new Set();
  looks = 0;
  delivered = [];
  undelivered = new Undelivered(
    (flow) => {
      looks += 1;
      const socket = found.get(flow.toString('latin1'));
      if (socket instanceof Error) throw socket;
      return socket;
    },
    (flow) => live.has(flow.toString('latin1')),
    ({ id }) => delivered.push(id.sequence),
  );
});

afterEach(() => {
  undelivered.stop();
  jest.useRealTimers();
});

function closed(sequence: number, socket: Found | Error): { key: string } {
  const flow = makeFlow('198.18.1.1', sequence, '198.19.0.1', 80);
  const key = flow.toString('latin1');
  found.set(key, socket);
  const connection: LiveConnection = {
    flow,
    id: { epoch: 1, sequence },
    front: 'f1',
    since: 0,
    socket: undefined as unknown as Socket,
  };
  undelivered.add(connection);
  return { key };
}

test('what is gone, empty or somebody else by then is delivered at the first look', () => {
  closed(1, undefined);
  closed(2, { orphan: true, unacknowledged: 0 });
  closed(3, { orphan: true, unacknowledged: 1 });
  closed(4, { orphan: false, unacknowledged: 1000 });
  live.add(closed(5, ORPHAN).key);
  closed(6, new KernelError('ask', 1));
  expect([...undelivered].map(({ id }) => id.sequence)).toEqual([1, 2, 3, 4, 5, 6]);
  jest.advanceTimersByTime(100);
  expect(delivered).toEqual([]);
  jest.advanceTimersByTime(200);
  expect(delivered).toEqual([1, 2, 3, 4, 5, 6]);
  expect([undelivered.size, looks]).toEqual([0, 5]);
});

test('what is on its way is looked at again until it has come, and holds up nobody', () => {
  const { key } = closed(1, ORPHAN);
  jest.advanceTimersByTime(1_000);
  closed(2, undefined);
  jest.advanceTimersByTime(300);
  expect(delivered).toEqual([2]);
  expect([...undelivered].map(({ id }) => id.sequence)).toEqual([1]);
  jest.advanceTimersByTime(60_000);
  // Once a second, and not more often.
  expect(looks).toBeLessThan(65);
  found.set(key, { orphan: true, unacknowledged: 0 });
  jest.advanceTimersByTime(1_100);
  expect(delivered).toEqual([2, 1]);
});

test('thousands of ends at once are looked at in turns', () => {
  for (let k = 1; k <= 1_200; k++) closed(k, undefined);
  jest.advanceTimersByTime(200);
  expect(looks).toBeLessThanOrEqual(500);
  jest.advanceTimersByTime(200);
  expect(delivered).toHaveLength(1_200);
});

test('at a stop those that are delivered are told, the others are not', () => {
  closed(1, ORPHAN);
  closed(2, undefined);
  undelivered.stop();
  expect(delivered).toEqual([2]);
  expect(undelivered.size).toBe(0);
});
