import type { Socket } from 'node:net';
import { Departures, type Movable } from '../../src/agent/departures';
import type {
  Departure,
  DepartureOutcomes,
  HandBacks,
  ReservationOutcomes,
  StayReason,
} from '../../src/agent/hand-backs';
import type { LiveConnection } from '../../src/agent/live-connections';
import { socketOn, startReading, stopReading } from '../../src/kernel/node-socket';
import { openPair, sendAll, until, type Pair } from '../kernel/pair';

const WISH = { reason: 'drain', pool: 'web', backend: '' } as const;
/** Longer than a client has to be silent. */
const REST_MS = 600;

/** What would hand connections back. */
class FakeHandBacks {
  readonly said: string[] = [];
  outcomes: Partial<ReservationOutcomes> & DepartureOutcomes = { moved: fail, stayed: fail };
  /** Why a place cannot be asked for, or a connection cannot leave. */
  refused: { reserve?: StayReason; leave?: StayReason } = {};

  reserve(_departure: Departure, outcomes: ReservationOutcomes): StayReason | undefined {
    this.said.push('reserve');
    if (this.refused.reserve === undefined) this.outcomes = outcomes;
    return this.refused.reserve;
  }

  leave(): StayReason | undefined {
    this.said.push('leave');
    return this.refused.leave;
  }

  begin(_departure: Departure, outcomes: DepartureOutcomes): undefined {
    this.said.push('begin');
    this.outcomes = outcomes;
  }

  cancel(): void {
    this.said.push('cancel');
  }
}

function fail(): never {
  throw new Error('nobody has asked');
}

let pair: Pair;
let socket: Socket;
let connection: LiveConnection;
let handBacks: FakeHandBacks;
let departures: Departures;
let isOut: boolean;
/** Where it is in the middle of something. */
let isBusy: boolean;

beforeEach(() => {
  pair = openPair();
  socket = socketOn(pair.giveServer());
  connection = { flow: pair.flow, id: { epoch: 7, sequence: 1 }, front: 'f1', socket, since: 0 };
  handBacks = new FakeHandBacks();
  [isOut, isBusy] = [false, false];
  const movable: Movable = {
    flags: 0,
    takeOut: () => {
      if (isBusy || isOut) return undefined;
      stopReading(socket);
      isOut = true;
      return Buffer.alloc(0);
    },
    putBack: () => {
      isOut = false;
      startReading(socket);
    },
  };
  departures = new Departures(handBacks as unknown as HandBacks, () => movable);
});

afterEach(() => {
  departures.stop();
  socket.destroy();
  pair.close();
});

const leave = (): void => departures.leave(connection, WISH);

test('an idle connection gets a place, and leaves with its next request', async () => {
  leave();
  expect([handBacks.said, isOut]).toEqual([['reserve'], true]);
  handBacks.outcomes.reserved?.();
  sendAll(pair.client, 'GET /');
  await until(() => handBacks.said.includes('leave'));
  handBacks.outcomes.moved();
  expect([handBacks.said, departures.size]).toEqual([['reserve', 'leave'], 0]);
});

test('whose place comes after the request leaves as soon as it has come', async () => {
  leave();
  sendAll(pair.client, 'GET /');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(handBacks.said).toEqual(['reserve']);
  handBacks.outcomes.reserved?.();
  expect(handBacks.said).toEqual(['reserve', 'leave']);
});

test('whose client says nothing leaves when it has rested', async () => {
  leave();
  handBacks.outcomes.reserved?.();
  await until(() => handBacks.said.includes('leave'), 2 * REST_MS);
  expect(handBacks.said).toEqual(['reserve', 'leave']);
});

test('without a place it is handed back all the same', async () => {
  handBacks.refused = { reserve: 'slipped' };
  leave();
  sendAll(pair.client, 'GET /');
  await until(() => handBacks.said.includes('begin'));
  expect(new Set(handBacks.said)).toEqual(new Set(['reserve', 'begin']));
});

test('what waits already is handed back at once', async () => {
  stopReading(socket);
  sendAll(pair.client, 'GET /');
  await new Promise((resolve) => setTimeout(resolve, 20));
  leave();
  expect(handBacks.said).toEqual(['begin']);
});

test('what cannot leave gives its place up, goes on, and tries again', async () => {
  handBacks.refused = { leave: 'slipped' };
  leave();
  handBacks.outcomes.reserved?.();
  sendAll(pair.client, 'GET /');
  await until(() => handBacks.said.includes('leave'));
  expect([isOut, departures.size]).toEqual([false, 1]);
  // It was withdrawn by the one that refused.
  handBacks.refused = {};
  await until(() => handBacks.said.length > 2);
  expect(handBacks.said).toEqual(['reserve', 'leave', 'reserve']);
});

test('a place that is gone leaves it where it is', async () => {
  leave();
  handBacks.outcomes.stayed('no_backend');
  expect([isOut, departures.size, handBacks.said]).toEqual([false, 1, ['reserve']]);
  sendAll(pair.client, 'GET /');
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(handBacks.said).toEqual(['reserve']);
});

test.each<[string, () => void]>([
  ['is cancelled', () => departures.cancel('drain')],
  ['is stopped', () => departures.stop()],
])('what rests and %s is put back, without a place', (_what, end) => {
  leave();
  handBacks.outcomes.reserved?.();
  end();
  expect([isOut, handBacks.said, departures.size]).toEqual([false, ['reserve', 'cancel'], 0]);
});

test('one that ends gives its place up', async () => {
  leave();
  socket.destroy();
  await until(() => departures.size === 0);
  expect(handBacks.said).toEqual(['reserve', 'cancel']);
});

test('one that is written to meanwhile has one place at a time', async () => {
  leave();
  handBacks.outcomes.reserved?.();
  // The client takes nothing, so it is not delivered when the rest is over.
  socket.write(Buffer.alloc(8 * 1024 * 1024));
  await until(() => handBacks.said.includes('cancel'), 2 * REST_MS);
  expect(handBacks.said).toEqual(['reserve', 'cancel']);
  expect(isOut).toBe(false);
});

test('one that is busy waits for the end of its response', () => {
  isBusy = true;
  leave();
  expect(handBacks.said).toEqual([]);
  isBusy = false;
  departures.responded(connection);
  expect(handBacks.said).toEqual(['reserve']);
});
