import { makeFlow } from '../../src/kernel/flow';
import * as frames from '../../src/wire/frames';
import { encodeNames } from '../../src/wire/handoff-details';
import { encodeAgentHello } from '../../src/wire/hello';
import { Link } from '../../src/wire/link';
import { monotonicNs } from '../../src/steer/flow-table';
import { until } from '../kernel/pair';
import { frame, idPayload, RawServer, type RawPeer } from './raw-peer';

const HELLO = frame(frames.HELLO, encodeAgentHello({ node: 'b1', vips: ['198.19.0.1'], offers: 64 }));
const FLOW = makeFlow('198.18.1.1', 40000, '198.19.0.1', 80);

let server: RawServer;
let link: Link;
/** Events in the order in which they came, as text. */
let events: string[];
/** What the link says about the age of the agent's list. */
let askedAt: number;

beforeEach(async () => {
  server = await RawServer.open();
  events = [];
  const note =
    (name: string) =>
    (...details: unknown[]): void => {
      events.push(
        [
          name,
          ...details.map((detail) => (typeof detail === 'string' ? detail : JSON.stringify(detail))),
        ].join(' '),
      );
    };
  link = new Link(
    { host: '127.0.0.1', port: server.port },
    { role: 'keeper', node: 'f1' },
    {
      onUp: note('up'),
      onDown: note('down'),
      onFailed: note('failed'),
      onPrepared: note('prepared'),
      onRejected: note('rejected'),
      onFlows: (flows, last, asked) => {
        askedAt = asked;
        note('flows')(
          flows.map(({ id }) => id),
          last,
        );
      },
      onClosed: (flows) => note('closed')(flows.map(({ flow, id }) => [flow.equals(FLOW), id])),
    },
  );
});

afterEach(() => {
  link.stop();
  server.close();
});

/** Starts the link and plays its agent up to the hello. */
async function bringUp(): Promise<RawPeer> {
  link.start();
  return answer();
}

async function answer(): Promise<RawPeer> {
  const agent = await server.accept();
  await agent.next();
  agent.send(HELLO);
  await until(() => link.up);
  return agent;
}

test('says hello first, and is up when the agent has answered', async () => {
  expect([link.up, link.offerLimit, link.congested, link.lastCause]).toEqual([
    false,
    0,
    true,
    'not connected yet',
  ]);
  const startedAt = monotonicNs();
  link.start();
  const agent = await server.accept();
  const hello = await agent.next();
  const heardAt = monotonicNs();
  expect(hello?.type).toBe(frames.HELLO);
  expect(JSON.parse(hello?.payload.toString() ?? '')).toEqual({ baton: [1], role: 'keeper', node: 'f1' });
  expect(link.up).toBe(false);
  agent.send(HELLO);
  await link.settled;
  expect([link.up, link.offerLimit, link.congested]).toEqual([true, 64, false]);
  expect(events).toEqual(['up {"node":"b1","vips":["198.19.0.1"],"offers":64}']);
  // Whatever began to live after the agent was asked may be missing from its list.
  agent.send(frame(frames.FLOWS, Buffer.from([1])));
  await until(() => events.length === 2);
  expect(askedAt).toBeGreaterThanOrEqual(startedAt);
  expect(askedAt).toBeLessThanOrEqual(heardAt);
});

test('offers, commits and aborts reach the agent in order', async () => {
  const agent = await bringUp();
  link.offer(9, 1, Buffer.from('snapshot'), 8);
  link.commit(9, 1);
  link.abort(9, 2);
  expect(await agent.next()).toEqual({
    type: frames.OFFER,
    payload: Buffer.concat([idPayload(9, 1), Buffer.from('snapshot')]),
  });
  expect(await agent.next()).toEqual({ type: frames.COMMIT, payload: idPayload(9, 1) });
  expect(await agent.next()).toEqual({ type: frames.ABORT, payload: idPayload(9, 2) });
});

test('commits have details for an agent that asks for them, and for no other', async () => {
  link.start();
  const agent = await server.accept();
  await agent.next();
  const asking = encodeAgentHello({ node: 'b1', vips: [], offers: 64, details: true });
  agent.send(frame(frames.HELLO, asking));
  await until(() => link.up);
  expect(link.wantsDetails).toBe(true);
  const names = encodeNames('api', 'web');
  link.commitWithDetails(9, 1, 1.2346, names);
  expect(await agent.next()).toEqual({
    type: frames.COMMIT,
    payload: Buffer.concat([idPayload(9, 1, 0, 0, 0x04, 0xd3, 3), Buffer.from('apiweb')]),
  });
  agent.socket.resetAndDestroy();
  await until(() => !link.up);
  expect(link.wantsDetails).toBe(false);
  await answer();
  expect(link.wantsDetails).toBe(false);
});

test("the agent's answers and reports become events", async () => {
  const agent = await bringUp();
  const record = (sequence: number): Buffer => Buffer.concat([FLOW, idPayload(9, sequence)]);
  agent.send(
    frame(frames.PREPARED, idPayload(9, 1)),
    frame(frames.REJECTED, idPayload(9, 2, frames.REJECT_REASONS.indexOf('address_in_use'))),
    // A reason that a later version has added.
    frame(frames.REJECTED, idPayload(9, 3, 200)),
    frame(frames.FLOWS, Buffer.concat([Buffer.from([0]), record(4), record(5)])),
    frame(frames.FLOWS, Buffer.from([1])),
    frame(frames.CLOSED, record(4)),
  );
  await until(() => events.length === 7);
  expect(events.slice(1)).toEqual([
    'prepared {"epoch":9,"sequence":1}',
    'rejected {"epoch":9,"sequence":2} address_in_use',
    'rejected {"epoch":9,"sequence":3} unspecified',
    'flows [{"epoch":9,"sequence":4},{"epoch":9,"sequence":5}] false',
    'flows [] true',
    'closed [[true,{"epoch":9,"sequence":4}]]',
  ]);
});

test('connects again when the agent is gone, and tells both', async () => {
  const first = await bringUp();
  first.socket.resetAndDestroy();
  await until(() => !link.up);
  expect([link.offerLimit, link.congested]).toEqual([0, true]);
  await answer();
  expect(events.map((event) => event.split(' ')[0])).toEqual(['up', 'down', 'up']);
  expect(server.connections).toBe(2);
});

test('waits longer from one failed attempt to the next, and briefly again after a success', async () => {
  link.start();
  const at: number[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    const agent = await server.accept();
    at.push(performance.now());
    agent.socket.resetAndDestroy();
  }
  const agent = await answer();
  const failed = performance.now();
  agent.socket.resetAndDestroy();
  await server.accept();
  const waits = at.slice(1).map((time, i) => Math.round(time - (at[i] ?? 0)));
  const afterSuccess = Math.round(performance.now() - failed);
  process.stdout.write(`link: waits of ${waits.join(', ')} ms, after a success ${afterSuccess} ms\n`);
  // 100, 200 and 400 ms, each within a quarter; the upper bounds leave room for a busy machine.
  [100, 200, 400].forEach((planned, i) => {
    expect(waits[i]).toBeGreaterThanOrEqual(planned * 0.75 - 2);
    expect(waits[i]).toBeLessThan(planned * 1.25 + 200);
  });
  expect(afterSuccess).toBeLessThan(125 + 200);
});

test('an agent that is not there is asked again, and the failure is told once', async () => {
  server.close();
  link.start();
  await link.settled;
  const { lastCause } = link;
  expect(lastCause).toContain('ECONNREFUSED');
  // Three more attempts, which the test sees by nothing else than time: 100, 200 and 400 ms apart.
  await new Promise((resolve) => setTimeout(resolve, 800));
  expect([link.up, link.lastCause]).toEqual([false, lastCause]);
  expect(events).toEqual([`failed ${lastCause}`]);
});

describe('an agent is left that', () => {
  test.each([
    ['talks HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /unknown frame type/],
    ['does not say hello first', frame(frames.PREPARED, idPayload(1, 1)), /frame of type 3 before HELLO/],
    ['speaks another version', frame(frames.HELLO, '{"baton":[2]}'), /no common version/],
    ['says hello twice', Buffer.concat([HELLO, HELLO]), /an agent does not send frames of type 1/],
    [
      'sends offers',
      Buffer.concat([HELLO, frame(frames.OFFER, 'x')]),
      /an agent does not send frames of type 2/,
    ],
    ['answers without an id', Buffer.concat([HELLO, frame(frames.PREPARED, 'short')]), /frame without an id/],
    ['lists half a flow', Buffer.concat([HELLO, frame(frames.CLOSED, 'x')]), /flow list of odd length/],
    ['lists nothing at all', Buffer.concat([HELLO, frame(frames.FLOWS)]), /flow list of odd length/],
    [
      'says good bye',
      Buffer.concat([HELLO, frame(frames.BYE, 'agent is stopping')]),
      /peer said: agent is stopping/,
    ],
  ])('%s, and asked again', async (_, bytes, cause) => {
    link.start();
    const agent = await server.accept();
    agent.send(bytes);
    await agent.end();
    expect(link.lastCause).toMatch(cause);
    expect(link.up).toBe(false);
    // Who never was up cannot go down.
    const kinds = bytes.includes(HELLO) ? ['up', 'down'] : ['failed'];
    expect(events.map((event) => event.split(' ')[0])).toEqual(kinds);
    await answer();
  });
});

test('stopping says good bye and does not come back', async () => {
  const agent = await bringUp();
  link.stop();
  expect(await agent.next()).toEqual({ type: frames.BYE, payload: Buffer.from('front is stopping') });
  expect(await agent.next()).toBeUndefined();
  expect(events.at(-1)).toBe('down stopping');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(server.connections).toBe(1);
});

test('an agent that goes on in another process is connected to at once', async () => {
  const LEAST_WAIT_MS = 75;
  const TIMES = 10;
  let agent = await bringUp();
  const began = performance.now();
  for (let k = 0; k < TIMES; k++) {
    agent.send(frame(frames.BYE, frames.SUCCEEDED));
    agent = await answer();
  }
  expect(performance.now() - began).toBeLessThan(TIMES * LEAST_WAIT_MS);
  expect(events.filter((event) => event.startsWith('down'))).toEqual(
    Array(TIMES).fill(`down peer said: ${frames.SUCCEEDED}`),
  );
});
