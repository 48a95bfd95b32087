import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { announce, connectionOf } from '../../src/agent/connection-of';
import { LiveConnections, type LiveConnection } from '../../src/agent/live-connections';
import { checkedState, type Adopt, type State, type TcpConnection } from '../../src/agent/tcp-connection';
import { TcpConnections } from '../../src/agent/tcp-connections';
import { makeFlow } from '../../src/kernel/flow';
import { MAX_STATE_BYTES } from '../../src/repair/layout';
import { until } from '../kernel/pair';

const FLOW = makeFlow('2001:2::7', 40_000, '2001:2:0:ff::1', 7);
const FAR = 60_000;

let server: Server;
let live: LiveConnections;
let connections: TcpConnections;
let letGos: { connection: LiveConnection; state: State }[];
let moves: boolean;
let failures: unknown[];
let clients: Socket[];

beforeEach(async () => {
  server = createServer({ allowHalfOpen: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  live = new LiveConnections(() => undefined);
  [letGos, failures, clients, moves] = [[], [], [], false];
  connections = new TcpConnections(
    (connection, state) => {
      letGos.push({ connection, state });
      return Promise.resolve(moves);
    },
    (_connection, cause) => failures.push(cause),
  );
});

afterEach(() => {
  for (const client of clients) client.destroy();
  for (const { socket } of live) socket.destroy();
  server.close();
});

/** A live connection with its client, given to an application. */
async function give(adopt: Adopt, state?: Buffer): Promise<{ client: Socket; connection: LiveConnection }> {
  const { port } = server.address() as AddressInfo;
  const accepted = once(server, 'connection') as Promise<[Socket]>;
  const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  client.on('error', () => undefined);
  clients.push(client);
  const [socket] = await accepted;
  const connection = live.add(FLOW, { epoch: 1, sequence: live.size + 1 }, 'f1', socket);
  connections.give(connection, adopt, state);
  return { client, connection };
}

const echo: Adopt = ({ socket }) => void socket.pipe(socket);

/** What is there until the other side ends, or its error. */
async function readAll(socket: Socket): Promise<string> {
  let text = '';
  socket.on('data', (piece: Buffer) => (text += piece.toString()));
  await Promise.race([once(socket, 'end'), once(socket, 'close').then(() => (text += '!'))]);
  return text;
}

test('an application has the ends, the socket and the state', async () => {
  const seen: [TcpConnection, State][] = [];
  const state = Buffer.from('so far');
  const { connection } = await give((...args) => void seen.push(args), state);
  const [adopted, given] = seen[0] ?? [];
  expect(given).toBe(state);
  expect(adopted?.socket).toBe(connection.socket);
  expect(adopted?.client).toEqual({ address: '2001:2::7', port: 40_000 });
  expect(adopted?.vip).toEqual({ address: '2001:2:0:ff::1', port: 7 });
  expect(connections.of(connection)).toBe(adopted);
  expect(connections.size).toBe(1);
});

test.each<[string, Adopt]>([
  [
    'throws',
    () => {
      throw new Error('no');
    },
  ],
  ['rejects', () => Promise.reject(new Error('no'))],
])('an application that %s loses the connection, and no other', async (_what, adopt) => {
  const other = await give(echo);
  const { client } = await give(adopt);
  await until(() => client.destroyed);
  expect(failures.map(String)).toEqual(['Error: no']);
  await until(() => connections.size === 1);
  other.client.end('still there');
  expect(await readAll(other.client)).toBe('still there');
});

test('a client that resets its connection ends nothing else', async () => {
  const { client, connection } = await give(() => undefined);
  connection.socket.resume();
  client.resetAndDestroy();
  await until(() => connections.size === 0);
});

describe('letting go', () => {
  test('is asked of whoever moves connections, with the state', async () => {
    const { connection } = await give(() => undefined);
    const adopted = connections.of(connection);
    expect(await adopted.detach(Buffer.from('5'))).toBe(false);
    moves = true;
    expect(await adopted.detach()).toBe(true);
    expect(letGos).toEqual([
      { connection, state: Buffer.from('5') },
      { connection, state: undefined },
    ]);
  });

  test('twice at a time is once', async () => {
    const { connection } = await give(() => undefined);
    const adopted = connections.of(connection);
    await Promise.all([adopted.detach(), adopted.detach()]);
    expect(letGos).toHaveLength(1);
  });

  test('does nothing where the connection is over, or the state is too much', async () => {
    const { connection } = await give(() => undefined);
    const adopted = connections.of(connection);
    await expect(adopted.detach(Buffer.alloc(MAX_STATE_BYTES + 1))).rejects.toThrow(RangeError);
    connection.socket.destroy();
    expect(await adopted.detach()).toBe(false);
    expect(letGos).toEqual([]);
  });
});

test('the state of an application is a Buffer of at most 64 KiB, or nothing', () => {
  expect(checkedState(undefined)).toBeUndefined();
  expect(checkedState(Buffer.alloc(MAX_STATE_BYTES))).toHaveLength(65_536);
  expect(() => checkedState(Buffer.alloc(MAX_STATE_BYTES + 1))).toThrow(
    'state: 65537 bytes, more than 65536',
  );
  expect(() => checkedState('text')).toThrow('state: string is not a Buffer');
});

describe('at a stop', () => {
  test('connections go on until the deadline, and end behind what is written', async () => {
    const { client, connection } = await give(echo);
    client.write('before');
    await until(() => connection.socket.bytesWritten === 6);
    const deadline = performance.now() + 200;
    const drained = connections.drain(deadline);
    const text = readAll(client);
    client.write(' and after');
    expect(await text).toBe('before and after');
    expect(performance.now()).toBeGreaterThanOrEqual(deadline);
    // Nothing that comes now makes the application fail.
    client.write('too late');
    client.end();
    await drained;
    expect([connections.size, failures]).toEqual([0, []]);
  });

  test('it is over as soon as they are', async () => {
    const { client } = await give(echo);
    const began = performance.now();
    client.end('bye');
    const drained = connections.drain(began + FAR);
    expect(await readAll(client)).toBe('bye');
    await drained;
    expect(performance.now() - began).toBeLessThan(FAR / 2);
  });

  test('a client that reads too slowly is reset, not told an end that is none', async () => {
    const { client, connection } = await give(({ socket }) => void socket.write(Buffer.alloc(64 << 20)));
    client.on('data', () => {
      client.pause();
      setTimeout(() => client.resume(), 50);
    });
    const errors: (string | undefined)[] = [];
    client.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code));
    await connections.drain(performance.now());
    await until(() => client.destroyed);
    expect(errors).toEqual(['ECONNRESET']);
    expect(connection.socket.destroyed).toBe(true);
  });
});

test('an adopted socket leads to its connection as long as its agent says so', async () => {
  const { client, connection } = await give(() => undefined);
  const find = (socket: unknown) => (socket === connection.socket ? connections.of(connection) : undefined);
  const retract = announce(find);
  expect(connectionOf(connection.socket)).toBe(connections.of(connection));
  expect(connectionOf(client)).toBeUndefined();
  retract();
  expect(connectionOf(connection.socket)).toBeUndefined();
});
