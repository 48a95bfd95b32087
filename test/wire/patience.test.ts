import { BYE, HELLO, PING, PONG } from '../../src/wire/frames';
import { Channel, FRAME_LIMIT_MS, PING_INTERVAL_MS, SILENCE_LIMIT_MS } from '../../src/wire/channel';
import { encodeAgentHello } from '../../src/wire/hello';
import { Link } from '../../src/wire/link';
import { until } from '../kernel/pair';
import { frame, RawPeer, RawServer } from './raw-peer';

/** How long a link waits for a hello. */
const HELLO_MS = 3000;

const closers: (() => void)[] = [];
afterAll(() => closers.splice(0).forEach((close) => close()));

async function openServer(): Promise<RawServer> {
  const server = await RawServer.open();
  closers.push(() => server.close());
  return server;
}

/** A channel to a peer, and what came of it. */
async function openChannel(server: RawServer) {
  const peer = await RawPeer.connect(server.port);
  const { socket } = await server.accept();
  const seen = { peer, cause: '', closedAfter: 0, pings: 0 };
  const began = performance.now();
  const onClose = (cause: string): void => {
    seen.cause = cause;
    seen.closedAfter = Math.round(performance.now() - began);
  };
  const channel = new Channel(socket, { onFrame: () => undefined, onClose });
  closers.push(
    () => channel.close('test is over'),
    () => peer.socket.destroy(),
  );
  return seen;
}

async function silentPeer(): Promise<string> {
  const server = await openServer();
  const quiet = await openChannel(server);
  const talking = await openChannel(server);
  // One peer answers each ping, the other one only keeps its connection open.
  talking.peer.socket.on('data', (data: Buffer) => {
    for (let at = 4; at < data.length; at += 5) if (data[at] === PING) talking.pings += 1;
    talking.peer.send(frame(PONG));
  });
  await until(() => quiet.cause !== '', SILENCE_LIMIT_MS + 3 * PING_INTERVAL_MS);
  expect(quiet.cause).toMatch(/^no word for \d+ ms$/);
  expect(quiet.closedAfter).toBeGreaterThanOrEqual(SILENCE_LIMIT_MS);
  expect(talking).toMatchObject({ cause: '' });
  expect(talking.pings).toBeGreaterThanOrEqual(4);
  await quiet.peer.end();
  return `silent peer left after ${quiet.closedAfter} ms, the other one kept (${talking.pings} pings)`;
}

async function endlessFrame(): Promise<string> {
  const server = await openServer();
  const dripping = await openChannel(server);
  dripping.peer.send(frame(BYE, 'x'.repeat(60_000)).subarray(0, 10));
  const drip = setInterval(() => dripping.peer.send(Buffer.from('x')), 200);
  closers.push(() => clearInterval(drip));
  await until(() => dripping.cause !== '', FRAME_LIMIT_MS + 3 * PING_INTERVAL_MS);
  expect(dripping.cause).toMatch(/^a frame has not come to its end after \d+ ms$/);
  expect(dripping.closedAfter).toBeGreaterThanOrEqual(FRAME_LIMIT_MS);
  return `a peer that does not end its frame left after ${dripping.closedAfter} ms`;
}

async function noHello(): Promise<string> {
  const server = await openServer();
  const link = new Link({ host: '127.0.0.1', port: server.port }, { role: 'offers', node: 'f1' }, {});
  closers.push(() => link.stop());
  link.start();
  const agent = await server.accept();
  const began = performance.now();
  await agent.end();
  const waited = Math.round(performance.now() - began);
  expect(link.lastCause).toBe(`no hello within ${HELLO_MS} ms`);
  expect(waited).toBeGreaterThan(HELLO_MS - 200);
  expect(waited).toBeLessThan(HELLO_MS + 1000);

  // Once it is up, the limit is the channel's.
  const second = await server.accept();
  second.send(frame(HELLO, encodeAgentHello({ node: 'b1', vips: [], offers: 1 })));
  await until(() => link.up);
  await new Promise((resolve) => setTimeout(resolve, HELLO_MS + 200));
  expect(link.up).toBe(true);
  return `agent without a hello left after ${waited} ms`;
}

// The limits are waited for at their real length, side by side.
test('who is silent, or does not come to an end, is left in time', async () => {
  const lines = await Promise.all([silentPeer(), endlessFrame(), noHello()]);
  process.stdout.write(`${lines.join('; ')}\n`);
}, 15_000);
