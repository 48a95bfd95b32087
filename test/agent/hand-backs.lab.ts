/** Connections over loopback that are handed back, with somebody who says what their front would say. */
import type { Socket } from 'node:net';
import { HandBacks, type FrontLine } from '../../src/agent/hand-backs';
import type { LiveConnection } from '../../src/agent/live-connections';
import { recv } from '../../src/kernel/libc';
import { descriptorOf, startReading, socketOn, stopReading } from '../../src/kernel/node-socket';
import { MSG_DONTWAIT, unreadBytes } from '../../src/kernel/socket';
import { freeze, prepareFreeze, unfreeze } from '../../src/repair/freeze';
import * as layout from '../../src/repair/layout';
import type { FlowRecord, HandoffId } from '../../src/steer/flow-table';
import type { Wish } from '../../src/wire/hand-back';
import { openPair, sendAll, until, type Pair } from '../kernel/pair';

const ID: HandoffId = { epoch: 7, sequence: 1 };
const WISH: Wish = { reason: 'drain', pool: 'web', backend: '' };
const NOTHING = Buffer.alloc(0);

let pair: Pair;
let socket: Socket;
let connection: LiveConnection;
let handBacks: HandBacks;
let said: string[];
let voided: FlowRecord[];
let forgotten: LiveConnection[];
let snapshot: Buffer;
/** What became of the connection. */
let outcome: string[];
let line: FrontLine | undefined;

beforeAll(() => void prepareFreeze());

beforeEach(() => {
  [said, voided, forgotten, outcome] = [[], [], [], []];
  pair = openPair();
  socket = socketOn(pair.giveServer());
  socket.on('error', (error) => outcome.push(error.message));
  connection = { flow: pair.flow, id: ID, front: 'f1', socket, since: 0 };
  stopReading(socket);
  line = {
    handBack: (_id, _wish, bytes, length) => {
      snapshot = Buffer.from(bytes.subarray(0, length));
      said.push('HANDBACK');
    },
    settled: () => said.push('SETTLED'),
    withdrawn: () => said.push('WITHDRAWN'),
    reserve: (_id, _wish, bytes, length) => {
      snapshot = Buffer.from(bytes.subarray(0, length));
      said.push('RESERVE');
    },
    leave: (_id, octets) => said.push(`LEAVE ${octets.toString()}`),
  };
  handBacks = new HandBacks({
    lineTo: () => line,
    forget: (each) => forgotten.push(each),
    voided: (record) => voided.push(record),
  });
});

afterEach(() => {
  handBacks.stop();
  socket.destroy();
  pair.close();
});

const begin = (held = NOTHING, state?: Buffer): string | undefined =>
  handBacks.begin(
    { connection, wish: WISH, flags: layout.PER_REQUEST, held, state },
    { moved: () => outcome.push('moved'), stayed: (reason) => outcome.push(reason) },
  );

const lineOf = (): FrontLine => line as FrontLine;

/** What the client reads now: its octets, '' for the end, or a negative errno. */
function clientReads(): string | number {
  const bytes = Buffer.alloc(100);
  const got = recv(pair.client, bytes, bytes.length, MSG_DONTWAIT);
  return got < 0 ? got : bytes.toString('latin1', 0, got);
}

const EAGAIN = -11;

/** Neither an end nor a reset has come. */
async function expectSilence(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(clientReads()).toBe(EAGAIN);
}

test('its snapshot has what was held, what is unread, and what the application leaves', () => {
  sendAll(pair.client, ' HTTP/1.1\r\n');
  expect(begin(Buffer.from('GET /a'), Buffer.from('state'))).toBeUndefined();
  layout.checkSnapshot(snapshot, 0, snapshot.length);
  expect(snapshot.toString('latin1', layout.HEADER_BYTES)).toBe('GET /a HTTP/1.1\r\nstate');
  expect(snapshot[layout.FLAGS]).toBe(layout.PER_REQUEST);
  expect(said).toEqual(['HANDBACK']);
});

test('once taken it is gone without a packet', async () => {
  begin();
  await until(() => said.includes('SETTLED'));
  handBacks.taken(lineOf(), ID);
  expect([outcome, forgotten, socket.destroyed, handBacks.size]).toEqual([['moved'], [connection], true, 0]);
  await expectSilence();
  handBacks.stop();
  await expectSilence();
  expect(voided).toEqual([]);
});

test('returned it goes on as it was', async () => {
  sendAll(pair.client, 'before');
  begin(Buffer.from('held'));
  await until(() => said.includes('SETTLED'));
  handBacks.returned(lineOf(), ID, 'no_backend');
  expect([outcome, socket.destroyed]).toEqual([['no_backend'], false]);
  socket.write('hello');
  await until(() => clientReads() === 'hello');
  // What was held is for the caller to serve; what is unread is still there.
  const read: string[] = [];
  socket.on('data', (data: Buffer) => read.push(data.toString()));
  startReading(socket);
  sendAll(pair.client, ' after');
  await until(() => read.join('') === 'before after');
});

test('what slips in behind the snapshot is noticed, and it stays', async () => {
  const before = lineOf();
  // Between the dump and the look nothing gets past the filter, so it is detached for a moment.
  line = {
    ...lineOf(),
    handBack: (...args) => {
      before.handBack(...args);
      slipIn();
    },
  };
  begin();
  await until(() => outcome.length > 0);
  expect([said, outcome]).toEqual([['HANDBACK', 'WITHDRAWN'], ['slipped']]);
  const read: string[] = [];
  socket.on('data', (data: Buffer) => read.push(data.toString()));
  startReading(socket);
  await until(() => read.join('') === 'late');
});

function slipIn(): void {
  const fd = descriptorOf(socket) ?? -1;
  unfreeze(fd);
  sendAll(pair.client, 'late');
  freeze(fd);
}

test('a channel that is lost before it is settled leaves it here, and behind that lets go of it', async () => {
  begin();
  handBacks.channelLost(lineOf());
  expect(outcome).toEqual(['channel_lost']);
  begin();
  await until(() => said.includes('SETTLED'));
  handBacks.channelLost(lineOf());
  expect([outcome, voided]).toEqual([['channel_lost', 'moved'], [{ flow: pair.flow, id: ID }]]);
  await expectSilence();
});

test('a server that ends it meanwhile ends it when it has come back, with a packet', async () => {
  begin();
  socket.destroy();
  expect(clientReads()).toBe(EAGAIN);
  // Before it is settled it is taken back by itself.
  await until(() => clientReads() === '');
  expect([said, outcome]).toEqual([['HANDBACK', 'WITHDRAWN'], ['slipped']]);
});

test('one that is taken is not ended by its server', async () => {
  begin();
  await until(() => said.includes('SETTLED'));
  socket.destroy();
  handBacks.taken(lineOf(), ID);
  await expectSilence();
  expect(outcome).toEqual(['moved']);
});

test.each<[string, () => void, string]>([
  ['its front is away', () => (line = undefined), 'no_front'],
  ['its server has closed it', () => socket.destroy(), 'not_movable'],
  ['its client has closed its side', () => pair.hangUp(), 'not_movable'],
])('where %s, nothing happens', async (_what, arrange, reason) => {
  arrange();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([begin(), said, handBacks.size]).toEqual([reason, [], 0]);
});

test('another front has no say in it', async () => {
  begin();
  await until(() => said.includes('SETTLED'));
  handBacks.taken({ ...lineOf() }, ID);
  handBacks.returned({ ...lineOf() }, ID, 'no_backend');
  expect([outcome, handBacks.size]).toEqual([[], 1]);
});

describe('a place is reserved', () => {
  const reserve = (): string | undefined =>
    handBacks.reserve(
      { connection, wish: WISH, flags: layout.PER_REQUEST },
      {
        reserved: () => outcome.push('reserved'),
        moved: () => outcome.push('moved'),
        stayed: (reason) => outcome.push(reason),
      },
    );

  test('while it goes on, and then it leaves with what has come', async () => {
    expect(reserve()).toBeUndefined();
    layout.checkSnapshot(snapshot, 0, snapshot.length);
    expect([snapshot.length, snapshot[layout.FLAGS]]).toEqual([layout.HEADER_BYTES, layout.PER_REQUEST]);
    handBacks.reserved(lineOf(), ID);
    sendAll(pair.client, 'GET /a');
    await until(() => handBacks.size === 1 && unreadOf(socket) === 6);
    expect(handBacks.leave(connection)).toBeUndefined();
    await until(() => said.length === 2);
    expect([said, outcome]).toEqual([['RESERVE', 'LEAVE GET /a'], ['reserved']]);
    handBacks.taken(lineOf(), ID);
    expect([outcome, forgotten, socket.destroyed]).toEqual([['reserved', 'moved'], [connection], true]);
    await expectSilence();
  });

  test('and it stays: cancelled, returned, or the channel is lost', async () => {
    reserve();
    handBacks.cancel(connection);
    expect([said, outcome, handBacks.size]).toEqual([['RESERVE', 'WITHDRAWN'], [], 0]);
    // The answer to that is to come first.
    expect(reserve()).toBe('slipped');
    handBacks.returned(lineOf(), ID, 'unspecified');
    expect(reserve()).toBeUndefined();
    handBacks.returned(lineOf(), ID, 'no_backend');
    expect(reserve()).toBeUndefined();
    handBacks.reserved(lineOf(), ID);
    handBacks.channelLost(lineOf());
    expect(outcome).toEqual(['no_backend', 'reserved', 'channel_lost']);
    socket.write('hello');
    await until(() => clientReads() === 'hello');
  });

  test('which a front cannot take before it leaves', () => {
    reserve();
    handBacks.taken(lineOf(), ID);
    handBacks.reserved(lineOf(), ID);
    handBacks.taken(lineOf(), ID);
    expect([outcome, socket.destroyed, handBacks.size]).toEqual([['reserved'], false, 1]);
  });

  test('and what is written meanwhile keeps it', async () => {
    reserve();
    handBacks.reserved(lineOf(), ID);
    socket.write('more');
    await until(() => clientReads() === 'more');
    expect([handBacks.leave(connection), said]).toEqual(['slipped', ['RESERVE', 'WITHDRAWN']]);
    socket.write('again');
    await until(() => clientReads() === 'again');
  });

  test('and what slips in behind the freeze keeps it', async () => {
    reserve();
    handBacks.reserved(lineOf(), ID);
    handBacks.leave(connection);
    slipIn();
    await until(() => outcome.length > 1);
    expect([said, outcome]).toEqual([
      ['RESERVE', 'WITHDRAWN'],
      ['reserved', 'slipped'],
    ]);
  });

  test('and its client closes its side: it stays and ends', async () => {
    reserve();
    handBacks.reserved(lineOf(), ID);
    pair.hangUp();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([handBacks.leave(connection), said]).toEqual(['slipped', ['RESERVE', 'WITHDRAWN']]);
  });

  test('but not where something is unread', async () => {
    sendAll(pair.client, 'GET /a');
    await until(() => unreadOf(socket) === 6);
    expect([reserve(), said, handBacks.size]).toEqual(['slipped', [], 0]);
  });
});

function unreadOf(of: Socket): number {
  return unreadBytes(descriptorOf(of) ?? -1);
}
