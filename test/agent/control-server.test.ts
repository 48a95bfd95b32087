import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { silentLogger } from '../../src/observe/log';
import { ControlServer } from '../../src/agent/control-server';
import { makeFlow } from '../../src/kernel/flow';
import type { FlowRecord } from '../../src/steer/flow-table';
import * as frames from '../../src/wire/frames';
import { encodeFrontHello, type FrontHello } from '../../src/wire/hello';
import { readReport, type Report } from '../../src/wire/report';
import { until } from '../kernel/pair';
import { makeSnapshot } from '../repair/snapshots';
import { frame, idPayload, RawPeer } from '../wire/raw-peer';
import { AgentParts, CONTROL, NOBODY, VIP } from './agent-parts';
import { TABLE, tableText } from './gated';

const HELLO_TIMEOUT_MS = 3000;
const FLOW_BYTES = 36;
const RECORD_BYTES = FLOW_BYTES + 8;

let agent: AgentParts;
let fronts: RawPeer[];

beforeEach(async () => {
  agent = new AgentParts();
  fronts = [];
  await agent.control.listen(CONTROL);
});

afterEach(() => {
  for (const { socket } of fronts) socket.destroy();
  agent.close();
});

async function dial(): Promise<RawPeer> {
  const socket = connect({ host: CONTROL.host, port: CONTROL.port });
  const front = new RawPeer(socket);
  fronts.push(front);
  await once(socket, 'connect');
  return front;
}

const hello = (role: FrontHello['role'], node = 'f1'): Buffer =>
  frame(frames.HELLO, encodeFrontHello({ role, node }));

/** A front that has been greeted; a keeper has its empty list behind it too. */
async function openFront(role: FrontHello['role'] = 'offers', node = 'f1'): Promise<RawPeer> {
  const front = await dial();
  front.send(hello(role, node));
  await front.next();
  if (role === 'keeper') await front.next();
  return front;
}

const offer = (sequence: number, snapshot: Buffer): Buffer =>
  frame(frames.OFFER, Buffer.concat([idPayload(7, sequence), snapshot]));

const reject = (sequence: number, reason: frames.RejectReason) => ({
  type: frames.REJECTED,
  payload: idPayload(7, sequence, frames.REJECT_REASONS.indexOf(reason)),
});

describe('hello', () => {
  test('is answered with node, VIPs and how many offers there may be', async () => {
    const front = await dial();
    front.send(hello('offers'));
    const answer = await front.next();
    expect(answer?.type).toBe(frames.HELLO);
    expect(JSON.parse(answer?.payload.toString() ?? '')).toEqual({
      baton: [1],
      node: 'b1',
      vips: [VIP],
      offers: 4096,
    });
    expect(agent.control.fronts()).toEqual([{ node: 'f1', role: 'offers', prepared: 0 }]);
  });

  test('of a keeper is followed by the list of what lives, in parts', async () => {
    const count = frames.MAX_FLOW_RECORDS + 100;
    const flow = makeFlow('127.0.0.2', 40_000, VIP, 80);
    for (let i = 0; i < count; i++) agent.live.add(flow, { epoch: 7, sequence: i }, 'f1', new Socket());
    const front = await dial();
    front.send(hello('keeper'));
    await front.next();
    const parts = [await front.next(), await front.next()].map((part) => part?.payload ?? Buffer.alloc(0));
    expect(parts.map((part) => part[0])).toEqual([0, 1]);
    expect(parts.map((part) => part.length)).toEqual([
      1 + frames.MAX_FLOW_RECORDS * RECORD_BYTES,
      1 + 100 * RECORD_BYTES,
    ]);
    const records = Buffer.concat(parts.map((part) => part.subarray(1)));
    const sequences = Array.from({ length: count }, (_, i) =>
      records.readUInt32BE(i * RECORD_BYTES + FLOW_BYTES + 4),
    );
    expect(sequences).toEqual(Array.from({ length: count }, (_, i) => i));
    expect(records.subarray(0, FLOW_BYTES)).toEqual(flow);
  });

  test('of a keeper is followed by an empty list where nothing lives', async () => {
    const front = await dial();
    front.send(hello('keeper'));
    await front.next();
    expect(await front.next()).toEqual({ type: frames.FLOWS, payload: Buffer.from([1]) });
  });
});

describe('a front is cut off with the reason', () => {
  const greeting = hello('offers');
  const routes = frame(frames.ROUTES, tableText(TABLE));
  test.each<[string, Buffer, string]>([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'unknown frame type 47'],
    ['TLS', Buffer.from('1603010200010001fc0303', 'hex'), 'the peer speaks TLS, and this side does not'],
    ['another frame first', frame(frames.COMMIT, idPayload(1, 1)), 'frame of type 5 before HELLO'],
    ['another version', frame(frames.HELLO, '{"baton":[2]}'), 'hello: no common version, this side speaks 1'],
    ['no role', frame(frames.HELLO, '{"baton":[1],"node":"f1"}'), 'hello: role is neither offers nor keeper'],
    ['hello twice', Buffer.concat([greeting, greeting]), 'a front does not send frames of type 1'],
    [
      'an answer',
      Buffer.concat([greeting, frame(frames.PREPARED, idPayload(1, 1))]),
      'a front does not send frames of type 3',
    ],
    [
      'an offer without an id',
      Buffer.concat([greeting, frame(frames.OFFER, 'short')]),
      'frame without an id',
    ],
    ['a commit without an id', Buffer.concat([greeting, frame(frames.COMMIT)]), 'frame without an id'],
    [
      'a commit with half of the details',
      Buffer.concat([greeting, frame(frames.COMMIT, idPayload(1, 1, 0, 0, 0, 7))]),
      'details of a handoff without names',
    ],
    [
      'a commit with a pool of another name',
      Buffer.concat([greeting, frame(frames.COMMIT, idPayload(1, 1, 0, 0, 0, 7, 1, 0x61, 0x0a))]),
      'details of a handoff with names that are none',
    ],
    [
      'a commit that is too long',
      Buffer.concat([greeting, frame(frames.COMMIT, Buffer.alloc(8 + 141 + 1))]),
      'frame of type 5 with 150 bytes, at most 149 allowed',
    ],
    ['an abort without an id', Buffer.concat([greeting, frame(frames.ABORT, 'x')]), 'frame without an id'],
    ['an unknown frame', Buffer.concat([greeting, frame(200, 'x')]), 'unknown frame type 200'],
    [
      'routes that are none',
      Buffer.concat([greeting, frame(frames.ROUTES, '{}')]),
      'routes: must have required',
    ],
    ['routes for the second time', Buffer.concat([greeting, routes, routes]), 'routes for the second time'],
    [
      'routes from a keeper',
      Buffer.concat([hello('keeper'), routes]),
      'only who offers connections may say how they are judged',
    ],
  ])('%s', async (_, bytes, message) => {
    const neighbour = await openFront('offers', 'f2');
    const front = await dial();
    front.send(bytes);
    let last = await front.next();
    while (last?.type === frames.HELLO || last?.type === frames.FLOWS) last = await front.next();
    expect({ type: last?.type, text: last?.payload.toString() }).toEqual({
      type: frames.BYE,
      text: expect.stringContaining(message) as string,
    });
    await front.end();
    await until(() => agent.control.fronts().length === 1);

    neighbour.send(offer(1, makeSnapshot()));
    expect(await neighbour.next()).toEqual(reject(1, 'vip_not_allowed'));
  });

  test('after a while of silence', async () => {
    const front = await dial();
    const began = performance.now();
    const { type, payload } = (await front.next()) ?? { type: 0, payload: '' };
    expect([type, payload.toString()]).toEqual([frames.BYE, 'no hello in time']);
    const waited = performance.now() - began;
    expect(waited).toBeGreaterThanOrEqual(HELLO_TIMEOUT_MS - 50);
    expect(waited).toBeLessThan(HELLO_TIMEOUT_MS + 1000);
  });
});

describe('an offer', () => {
  const foreign = makeSnapshot({ flow: makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80) });
  const mixed = makeSnapshot({ flow: makeFlow('198.18.1.1', 40_000, '::1', 80) });

  test.each<[string, Buffer, frames.RejectReason]>([
    ['of nothing', Buffer.alloc(0), 'malformed_snapshot'],
    ['of rubbish', Buffer.alloc(500, 0xff), 'malformed_snapshot'],
    ['that is a byte short', foreign.subarray(0, -1), 'malformed_snapshot'],
    ['of mixed families', mixed, 'malformed_snapshot'],
    ['for another VIP', foreign, 'vip_not_allowed'],
  ])('%s is rejected, and the channel goes on', async (_, snapshot, reason) => {
    const front = await openFront();
    front.send(offer(1, snapshot), offer(0xffffffff, snapshot));
    expect(await front.next()).toEqual(reject(1, reason));
    expect(await front.next()).toEqual(reject(0xffffffff, reason));
    expect(agent.adopter.results).toMatchObject({ ok: 0, rejected: 2 });
    expect([agent.restores, agent.control.prepared]).toEqual([0, 0]);
    // Two at once are one line.
    expect(agent.log.filter(({ msg }) => msg === 'offer rejected')).toEqual([
      expect.objectContaining({ reason }),
    ]);
  });

  test('is rejected while the agent is stopping, whatever it is', async () => {
    const front = await openFront();
    agent.adopter.stopping = true;
    front.send(offer(1, foreign));
    expect(await front.next()).toEqual(reject(1, 'stopping'));
  });

  test('that nobody knows is aborted for nothing, and a commit of it is a connection that failed', async () => {
    const front = await openFront();
    front.send(
      frame(frames.COMMIT, idPayload(7, 1)),
      frame(frames.COMMIT, idPayload(7, 1, 0, 0, 0, 7, 1, 0x61, 0x62)),
      frame(frames.ABORT, idPayload(7, 2)),
      offer(3, foreign),
    );
    expect(await front.next()).toEqual(reject(3, 'vip_not_allowed'));
    expect(agent.adopter.results).toMatchObject({ ok: 0, aborted: 0, failed: 2 });
  });
});

describe('reports', () => {
  test('of what has closed go to keepers, together', async () => {
    const [keeper, other, offers] = [
      await openFront('keeper'),
      await openFront('keeper', 'f2'),
      await openFront(),
    ];
    const flow = makeFlow('127.0.0.2', 40_000, VIP, 80);
    const sockets = Array.from({ length: 3 }, (_, sequence) => {
      const socket = new Socket();
      agent.live.add(flow, { epoch: 7, sequence }, 'f1', socket);
      return socket;
    });
    sockets.forEach((socket) => socket.destroy());
    const records = Buffer.concat([0, 1, 2].map((sequence) => Buffer.concat([flow, idPayload(7, sequence)])));
    for (const each of [keeper, other])
      expect(await each.next()).toEqual({ type: frames.CLOSED, payload: records });
    // The next thing that it hears of is this.
    offers.send(offer(1, Buffer.alloc(0)));
    expect(await offers.next()).toEqual(reject(1, 'malformed_snapshot'));
  });

  test('are cut into frames of bounded length', async () => {
    const keeper = await openFront('keeper');
    const record = { flow: makeFlow('127.0.0.2', 40_000, VIP, 80), id: { epoch: 1, sequence: 1 } };
    for (let i = 0; i < 2 * frames.MAX_FLOW_RECORDS + 1; i++) agent.control.reportClosed(record);
    const lengths = [await keeper.next(), await keeper.next(), await keeper.next()].map(
      (read) => read?.payload.length,
    );
    expect(lengths).toEqual([1024 * RECORD_BYTES, 1024 * RECORD_BYTES, RECORD_BYTES]);
  });
});

describe('reports', () => {
  const NOTHING = { connections: 0, commits: 0, responses: 0, serverErrors: 0, totalMs: 0, draining: false };

  async function openWatcher(): Promise<RawPeer> {
    const hello = encodeFrontHello({ role: 'offers', node: 'f1', reportMs: 50 });
    const front = (await dial()).send(frame(frames.HELLO, hello));
    expect((await front.next())?.type).toBe(frames.HELLO);
    return front;
  }

  async function nextReport(front: RawPeer): Promise<Report> {
    const read = await front.next();
    expect(read?.type).toBe(frames.REPORT);
    const payload = read?.payload ?? Buffer.alloc(0);
    return readReport(payload, 0, payload.length);
  }

  test('come at once and when something has changed', async () => {
    const front = await openWatcher();
    expect(await nextReport(front)).toEqual(NOTHING);
    agent.responses.ended(200, 1.5);
    agent.responses.ended(503, 2);
    expect(await nextReport(front)).toEqual({ ...NOTHING, responses: 2, serverErrors: 1, totalMs: 3.5 });
    // Nothing was prepared under this id, but the COMMIT has been read.
    front.send(frame(frames.COMMIT, idPayload(1, 1)));
    expect(await nextReport(front)).toMatchObject({ commits: 1, connections: 0 });
    const flow = makeFlow('127.0.0.2', 40_000, VIP, 80);
    const socket = new Socket();
    agent.live.add(flow, { epoch: 1, sequence: 1 }, 'f1', socket);
    expect(await nextReport(front)).toMatchObject({ commits: 1, connections: 1 });
    socket.destroy();
    expect(await nextReport(front)).toMatchObject({ connections: 0 });
  });

  test('tell at once of an agent that drains', async () => {
    const front = await openWatcher();
    await nextReport(front);
    agent.control.draining = true;
    expect(await nextReport(front)).toEqual({ ...NOTHING, draining: true });
    agent.control.draining = true;
    agent.control.draining = false;
    expect(await nextReport(front)).toEqual(NOTHING);
  });

  test('go to nobody who has not asked', async () => {
    const [watcher, front] = [await openWatcher(), await openFront()];
    await nextReport(watcher);
    agent.responses.ended(200, 1);
    await nextReport(watcher);
    front.send(offer(1, Buffer.alloc(0)));
    expect(await front.next()).toEqual(reject(1, 'malformed_snapshot'));
  });
});

describe('stopping', () => {
  test('says good bye to all, after what is still to be reported', async () => {
    const [keeper, offers] = [await openFront('keeper'), await openFront()];
    agent.control.reportClosed({ flow: makeFlow('127.0.0.2', 1, VIP, 80), id: { epoch: 1, sequence: 1 } });
    agent.control.close();
    expect((await keeper.next())?.type).toBe(frames.CLOSED);
    for (const front of [keeper, offers]) {
      expect(await front.next()).toEqual({ type: frames.BYE, payload: Buffer.from('agent is stopping') });
      await front.end();
    }
  });

  test('takes no more channels', async () => {
    agent.control.close();
    await expect(dial()).rejects.toThrow('ECONNREFUSED');
  });
});

test('an address that is taken is named', async () => {
  const { host, port } = CONTROL;
  const second = new ControlServer(
    { node: 'b2', vips: [] },
    { insecure: true },
    agent.adopter,
    agent.responses,
    silentLogger(),
    [],
    NOBODY,
  );
  await expect(second.listen(CONTROL)).rejects.toThrow(`control.listen ${host}:${port}: listen EADDRINUSE`);
  second.close();
});

test('the log tells who came and why they went', async () => {
  const front = await openFront();
  front.send(frame(frames.BYE, 'see you'));
  await front.end();
  await until(() => agent.log.length === 2);
  expect(agent.log).toMatchObject([
    { msg: 'channel opened', front: 'f1' },
    { msg: 'channel closed', front: 'f1', cause: 'peer said: see you' },
  ]);
});

describe('a successor', () => {
  const record = (sequence: number): FlowRecord => ({
    flow: makeFlow('127.0.0.2', 40_000 + sequence, VIP, 80),
    id: { epoch: 7, sequence },
  });

  test('lists what the process before it has, and counts it', async () => {
    agent.estate.add({ ...record(1), front: 'f1' });
    const front = await dial();
    front.send(frame(frames.HELLO, encodeFrontHello({ role: 'keeper', node: 'f1', reportMs: 1000 })));
    await front.next();
    const report = await front.next();
    expect(readReport(report?.payload ?? Buffer.alloc(0), 0, frames.REPORT_BYTES).connections).toBe(1);
    const list = await front.next();
    expect(list?.payload.subarray(1, 1 + FLOW_BYTES)).toEqual(record(1).flow);
  });

  test('has the fronts sent to it, and hears of what ends; all of that can be taken back', async () => {
    const keeper = await openFront('keeper');
    const heard: string[] = [];
    const note = (what: string) => (records: readonly FlowRecord[]) =>
      heard.push(`${what} ${records.map(({ id }) => id.sequence).join()}`);
    agent.control.reportClosed(record(1));
    agent.control.leave({ closed: note('closed'), voided: note('void') });
    expect((await keeper.next())?.type).toBe(frames.CLOSED);
    expect(await keeper.next()).toEqual({ type: frames.BYE, payload: Buffer.from(frames.SUCCEEDED) });
    await keeper.end();
    expect(agent.control.descriptor).toBeUndefined();
    agent.control.reportClosed(record(2));
    agent.control.reportClosed(record(3));
    agent.control.reportVoid(record(4));
    await until(() => heard.length === 2);
    expect(heard).toEqual(['closed 2,3', 'void 4']);
    agent.control.takeBack();
    await agent.control.listen(CONTROL);
    expect(agent.control.descriptor).toBeGreaterThan(2);
    const again = await openFront('keeper');
    agent.control.reportClosed(record(5));
    expect((await again.next())?.type).toBe(frames.CLOSED);
    expect(heard).toHaveLength(2);
  });
});
