import type { Socket } from 'node:net';
import { LiveConnections, type LiveConnection } from '../../src/agent/live-connections';
import { MOST_SENDING, Passing, type TakenOut } from '../../src/agent/passing';
import { recv } from '../../src/kernel/libc';
import { sentDescriptor, socketOn, stopReading } from '../../src/kernel/node-socket';
import { openPair, sendAll, turns, until, type Pair } from '../kernel/pair';

const MSG_DONTWAIT = 0x40;

let live: LiveConnections;
let ends: number;
let pairs: Pair[];
/** What was sent, in order; the successor takes a connection when its `arrive` is called. */
let sent: { connection: LiveConnection; taken: TakenOut; socket: Socket; arrive: (got: boolean) => void }[];
let failures: unknown[];
let movable: (connection: LiveConnection) => boolean;
let putBack: number;
let passing: Passing;
let received: Socket[];

beforeEach(() => {
  ends = putBack = 0;
  live = new LiveConnections(() => (ends += 1));
  [pairs, sent, failures, received] = [[], [], [], []];
  movable = () => true;
});

afterEach(() => {
  passing.stop();
  for (const { socket } of sent) socket.destroy();
  for (const socket of received) socket.destroy();
  for (const { socket } of live) socket.destroy();
  for (const pair of pairs) pair.close();
});

function open(): { connection: LiveConnection; pair: Pair } {
  const pair = openPair();
  pairs.push(pair);
  const socket = socketOn(pair.giveServer());
  return { pair, connection: live.add(pair.flow, { epoch: 1, sequence: pairs.length }, 'f1', socket) };
}

function taken({ socket }: LiveConnection): TakenOut {
  stopReading(socket);
  return { raw: false, judged: false, held: Buffer.alloc(0), putBack: () => (putBack += 1) };
}

function start(
  takeOut = (connection: LiveConnection): TakenOut | undefined | Promise<TakenOut | undefined> =>
    movable(connection) ? taken(connection) : undefined,
): void {
  passing = new Passing({
    live,
    takeOut,
    send: (connection, what, socket) =>
      new Promise((resolve) => sent.push({ connection, taken: what, socket, arrive: resolve })),
    forget: (connection) => live.forget(connection),
    failed: (_connection, cause) => failures.push(cause),
  });
}

/** The successor's end of what was sent. */
function receive(index: number): Socket {
  const each = sent[index];
  if (each === undefined) throw new RangeError('not sent');
  const socket = socketOn(sentDescriptor(each.socket));
  received.push(socket);
  each.arrive(true);
  return socket;
}

test('a connection goes on where it was sent to, and its client notices nothing', async () => {
  const { pair } = open();
  sendAll(pair.client, 'before ');
  start();
  expect(sent).toHaveLength(1);
  expect([live.size, ends]).toEqual([1, 0]);
  await turns(5);
  sendAll(pair.client, 'meanwhile ');
  let text = '';
  const socket = receive(0);
  socket.on('data', (piece: Buffer) => (text += piece.toString()));
  sendAll(pair.client, 'behind');
  await until(() => text === 'before meanwhile behind');
  socket.write('answer');
  const answer = Buffer.alloc(16);
  let length = 0;
  await until(() => (length = recv(pair.client, answer, answer.length, MSG_DONTWAIT)) > 0);
  expect(answer.toString('latin1', 0, length)).toBe('answer');
  await until(() => passing.passed === 1);
  expect([ends, failures]).toEqual([0, []]);
});

test('only so many are on their way at once, and all of them go', async () => {
  const count = 3 * MOST_SENDING + 1;
  for (let k = 0; k < count; k++) open();
  start();
  for (let k = 0; k < count; k++) {
    expect(sent.length).toBeLessThanOrEqual(k + MOST_SENDING);
    await until(() => sent.length > k);
    receive(k);
  }
  await until(() => passing.passed === count);
  expect(new Set(sent.map(({ connection }) => connection)).size).toBe(count);
  expect([live.size, ends]).toEqual([0, 0]);
});

test('one that is busy goes when its response has ended, or when it is seen to be idle', async () => {
  const [first, second] = [open().connection, open().connection];
  movable = () => false;
  start();
  await turns(5);
  expect(sent).toEqual([]);
  movable = (connection) => connection === second;
  passing.responded(first);
  expect(sent).toEqual([]);
  passing.responded(second);
  expect(sent.map(({ connection }) => connection)).toEqual([second]);
  movable = () => true;
  await until(() => sent.length === 2);
});

test('one that comes while others are leaving goes after them', async () => {
  start();
  await turns(3);
  const { connection } = open();
  await until(() => sent.length === 1);
  expect(sent[0]?.connection).toBe(connection);
});

test('an application that keeps a connection is asked again later, and not meanwhile', async () => {
  open();
  let asked = 0;
  start((connection) => {
    asked += 1;
    return Promise.resolve(asked === 1 ? undefined : taken(connection));
  });
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect([asked, sent.length]).toEqual([1, 0]);
  await until(() => sent.length === 1);
  expect(asked).toBe(2);
});

test('nothing goes any more once it is stopped; what an application has let go of is put back', async () => {
  const { connection } = open();
  let resolve: (what: TakenOut) => void = () => undefined;
  start(() => new Promise((done) => (resolve = done)));
  passing.stop();
  resolve(taken(connection));
  await until(() => putBack === 1);
  expect([sent.length, live.size]).toEqual([0, 1]);
});

test('one that the successor did not get is put back, and no other goes', async () => {
  const count = MOST_SENDING + 3;
  for (let k = 0; k < count; k++) open();
  start();
  expect(sent).toHaveLength(MOST_SENDING);
  sent[0]?.arrive(false);
  await until(() => putBack === 1);
  for (const { arrive } of sent.slice(1)) arrive(false);
  await until(() => putBack === MOST_SENDING);
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([sent.length, passing.passed, live.size]).toEqual([MOST_SENDING, 0, count]);
});
