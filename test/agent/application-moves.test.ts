import { ApplicationMoves } from '../../src/agent/application-moves';
import type { HandBacks } from '../../src/agent/hand-backs';
import { LiveConnections, type LiveConnection } from '../../src/agent/live-connections';
import { TcpConnection, type State } from '../../src/agent/tcp-connection';
import { clientOf, vipOf } from '../../src/kernel/flow';
import { socketOn } from '../../src/kernel/node-socket';
import { openPair, sendAll, until, type Pair } from '../kernel/pair';

/** Taking connections out for another process of this host; what is handed back is shown by hand-backs and the labs. */

let pair: Pair;
let live: LiveConnections;
let raw: boolean;
let failures: unknown[];
let moves: ApplicationMoves;
let connection: LiveConnection;
let view: TcpConnection;
let text: string;

beforeEach(() => {
  pair = openPair();
  live = new LiveConnections(() => undefined);
  [raw, failures, text] = [true, [], ''];
  const handBacks = undefined as unknown as HandBacks;
  moves = new ApplicationMoves({
    handBacks,
    isRaw: () => raw,
    failed: (_connection, cause) => failures.push(cause),
  });
  const socket = socketOn(pair.giveServer());
  connection = live.add(pair.flow, { epoch: 1, sequence: 1 }, 'f1', socket);
  view = new TcpConnection(socket, clientOf(pair.flow), vipOf(pair.flow), () => Promise.resolve(false));
  socket.on('data', read);
});

afterEach(() => {
  connection.socket.destroy();
  pair.close();
});

const read = (piece: Buffer): void => {
  text += piece.toString();
};

/** An application that lets go as it should, and puts back the last word that it has read. */
function letGo(state: State): () => State {
  return () => {
    const { socket } = connection;
    socket.pause();
    socket.off('data', read);
    socket.unshift(Buffer.from(text));
    return state;
  };
}

test('what there is of a connection is its state and what the application has put back', async () => {
  sendAll(pair.client, 'half a li');
  await until(() => text === 'half a li');
  view.onMove = letGo(Buffer.from('state'));
  const taken = await moves.takeOut(connection, view);
  expect(taken).toMatchObject({ raw: true, judged: false });
  expect([taken?.held.toString(), taken?.state?.toString()]).toEqual(['half a li', 'state']);
  expect(moves.has(connection)).toBe(false);
  let stays = 0;
  view.onStay = () => {
    stays += 1;
    text = '';
    connection.socket.on('data', read).resume();
  };
  sendAll(pair.client, 'ne');
  taken?.putBack();
  await until(() => text === 'half a line');
  expect(stays).toBe(1);
});

test('it is not taken out before all that was written is the kernel’s', async () => {
  const much = Buffer.alloc(16 * 2 ** 20);
  connection.socket.write(much);
  view.onMove = letGo(undefined);
  let taken = false;
  const taking = moves.takeOut(connection, view).then((what) => (taken = what !== undefined));
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect([taken, connection.socket.writableLength > 0]).toEqual([false, true]);
  const client = socketOn(pair.client).resume();
  await taking;
  expect([taken, connection.socket.writableLength]).toEqual([true, 0]);
  client.destroy();
  pair.hangUp();
});

test.each<[string, () => void]>([
  ['does not say how it moves', () => (view.onMove = undefined)],
  ['fails to', () => (view.onMove = () => Promise.reject(new Error('no state today')))],
  ['has left HTTP and leaves no state', () => ((view.onMove = letGo(undefined)), (raw = false))],
  ['has ended it', () => ((view.onMove = letGo(undefined)), connection.socket.end())],
])('a connection stays whose application %s', async (what, prepare) => {
  let stays = 0;
  view.onStay = () => (stays += 1);
  prepare();
  expect(await moves.takeOut(connection, view)).toBeUndefined();
  expect(failures).toHaveLength(what === 'fails to' ? 1 : 0);
  expect(stays).toBe(what.startsWith('does not') ? 0 : 1);
});
