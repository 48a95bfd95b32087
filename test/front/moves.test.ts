import type { RouteConfig } from '../../src/config/model';
import { Backend } from '../../src/front/backend';
import { HeadEditor } from '../../src/front/head-editor';
import { MOST_PLACES_FOR, MOST_PLACES_OF, Moves, type Move } from '../../src/front/moves';
import type { Offered, Offers } from '../../src/front/offers';
import { Pool } from '../../src/front/pool';
import { Routes } from '../../src/relay/routes';
import { makeFlow } from '../../src/kernel/flow';
import { DumpBuffer } from '../../src/repair/dump';
import * as layout from '../../src/repair/layout';
import type { HandoffId } from '../../src/steer/flow-table';
import type { Wish } from '../../src/wire/hand-back';
import { until } from '../kernel/pair';
import { makeSnapshot } from '../repair/snapshots';
import { MemoryFlowTable } from '../steer/memory-flow-table';

const FLOW = makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80);
const HOP = { address: Buffer.alloc(16, 1), ifindex: 2 };
const ID: HandoffId = { epoch: 7, sequence: 1 };
const EPOCH = 9;
const PREPARE_MS = 200;
const CLIENT = { sequence: 1, acknowledged: 2, initial: 3 };
const DRAIN: Wish = { reason: 'drain', pool: 'web', backend: '' };
const STRAY: Wish = { reason: 'route', pool: 'web', backend: '' };

/** An agent's channel that keeps what is said to it. */
class FakeOffers {
  open = true;
  placesFor = 0;
  placesOf = 0;
  sequence = 100;
  readonly said: string[] = [];
  offered: Offered | undefined;
  snapshot = Buffer.alloc(0);

  constructor(private readonly name: string) {}

  make(offered: Offered, snapshot: Buffer, length: number): void {
    offered.sequence = ++this.sequence;
    this.offered = offered;
    this.snapshot = Buffer.from(snapshot.subarray(0, length));
    this.said.push('OFFER');
  }

  commit(): void {
    this.said.push('COMMIT');
  }

  append(_offered: Offered, octets: Buffer): void {
    this.said.push(`APPEND ${octets.toString('latin1')}`);
  }

  withdraw(): void {
    this.said.push('ABORT');
  }

  reserved({ sequence }: HandoffId): void {
    this.said.push(`RESERVED ${sequence}`);
  }

  overdue(): void {
    this.said.push('ABORT, overdue');
  }

  taken({ sequence }: HandoffId): void {
    this.said.push(`TAKEN ${sequence}`);
  }

  returned({ sequence }: HandoffId, reason: string): void {
    this.said.push(`RETURNED ${sequence} ${reason}`);
  }

  get load(): number {
    return 0;
  }

  toString(): string {
    return this.name;
  }
}

let agents: FakeOffers[];
let flows: MemoryFlowTable;
let moves: Moves;
let moved: string[];
let stayed: string[];

/** Three backends; the second pool has the third one alone. */
function open(routes: readonly RouteConfig[] = [{ pool: 'web' }]): void {
  agents = ['b1', 'b2', 'b3'].map((name) => new FakeOffers(name));
  const backends = agents.map((offers, index) => {
    const options = { name: `b${index + 1}`, weight: 1, number: index + 1, hops: { 4: HOP } };
    return new Backend(options, offers as unknown as Offers, { takes: true, warmingMs: 0 });
  });
  const config = { balance: 'round-robin', fallback: 'proxy', backends: [] } as const;
  const pools = new Map([
    ['web', new Pool({ name: 'web', ...config }, backends)],
    ['api', new Pool({ name: 'api', ...config }, backends.slice(2))],
  ]);
  flows = new MemoryFlowTable();
  [moved, stayed] = [[], []];
  const parts = {
    flows,
    epoch: EPOCH,
    pools,
    routes: new Routes(routes, pools),
    listenerOf: () => undefined,
    editor: new HeadEditor(1024, 1024),
    dumped: new DumpBuffer(),
    headBytes: 1024,
    prepareMs: PREPARE_MS,
  };
  moves = new Moves(parts, {
    moved: (move: Move, { name }) => moved.push(`${move.wish.reason} ${name}`),
    stayed: ({ reason }, result) => stayed.push(`${reason} ${result}`),
    rejected: () => undefined,
  });
  flows.insert(FLOW, HOP, 1, ID.epoch, ID.sequence, CLIENT);
}

beforeEach(() => open());

afterEach(() => moves.stop());

const agent = (k: number): FakeOffers => agents[k - 1] as FakeOffers;
const offersOf = (k: number): Offers => agent(k) as unknown as Offers;

/** A connection of this flow with these octets in its receive queue. */
function snapshotOf(received = '', flags = 0, flow = FLOW): Buffer {
  const bytes = makeSnapshot({ flow, flags, queues: [received.length, 0, 0] });
  bytes.write(received, layout.HEADER_BYTES, 'latin1');
  return bytes;
}

/** The first agent hands it back. */
function handBack(wish = DRAIN, snapshot = snapshotOf(), id = ID, from = 1): void {
  const bytes = Buffer.concat([Buffer.alloc(11, 0xee), snapshot, Buffer.alloc(7, 0xee)]);
  moves.handedBack(offersOf(from), { id, wish, snapshotAt: 11 }, bytes, bytes.length - 7);
}

/** The first agent wants a place for it. */
function reserve(wish = DRAIN, snapshot = snapshotOf()): void {
  moves.reserve(offersOf(1), { id: ID, wish, snapshotAt: 0 }, snapshot, snapshot.length);
}

/** The same, and the first other backend that takes it has prepared it. */
function reserved(flags = 0, wish = DRAIN): void {
  reserve(wish, snapshotOf('', flags));
  agents.find(({ offered }) => offered !== undefined)?.offered?.prepared();
}

const leave = (text = '', from = 1): void => moves.left(offersOf(from), ID, Buffer.from(text, 'latin1'));

const PER_REQUEST = layout.PER_REQUEST;
const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: lab\r\n\r\n`;

describe('a connection moves', () => {
  test.each([
    ['prepared and then settled', ['prepared', 'settled']],
    ['settled and then prepared', ['settled', 'prepared']],
  ])('%s', (_what, order) => {
    handBack();
    expect([agent(1).said, agent(2).said]).toEqual([[], ['OFFER']]);
    for (const [index, step] of order.entries()) {
      if (step === 'prepared') agent(2).offered?.prepared();
      else moves.settled(offersOf(1), ID);
      if (index === 0) expect([agent(1).said, agent(2).said]).toEqual([[], ['OFFER']]);
    }
    expect([agent(1).said, agent(2).said]).toEqual([['TAKEN 1'], ['OFFER', 'COMMIT']]);
    expect(flows.get(FLOW)).toMatchObject({
      backend: 2,
      id: { epoch: EPOCH, sequence: 101 },
      client: { initial: 3 },
    });
    expect([moved, stayed, moves.size]).toEqual([['drain b2'], [], 0]);
  });

  test('to the backend that is wanted', () => {
    handBack({ ...DRAIN, reason: 'move', backend: 'b3' });
    agent(3).offered?.prepared();
    moves.settled(offersOf(1), ID);
    expect(flows.get(FLOW)?.backend).toBe(3);
  });

  test('to another one where the first does not take it', () => {
    handBack();
    agent(2).offered?.rejected('stopping');
    expect(agent(3).said).toEqual(['OFFER']);
    moves.settled(offersOf(1), ID);
    agent(3).offered?.prepared();
    expect([agent(1).said, flows.get(FLOW)?.backend]).toEqual([['TAKEN 1'], 3]);
  });

  test('to another one where the first does not answer in time', async () => {
    handBack();
    await until(() => agent(3).said.length > 0);
    expect(agent(2).said).toEqual(['OFFER', 'ABORT, overdue']);
    moves.settled(offersOf(1), ID);
    agent(3).offered?.prepared();
    expect(flows.get(FLOW)?.backend).toBe(3);
  });

  test('to another one where the channel of the first is lost with what it has prepared', () => {
    handBack();
    agent(2).offered?.prepared();
    agent(2).open = false;
    moves.channelLost(offersOf(2));
    moves.settled(offersOf(1), ID);
    expect([agent(1).said, flows.get(FLOW)?.backend]).toEqual([[], 1]);
    agent(3).offered?.prepared();
    expect([agent(1).said, agent(3).said]).toEqual([['TAKEN 1'], ['OFFER', 'COMMIT']]);
    expect([agent(2).said, flows.get(FLOW)?.backend]).toEqual([['OFFER'], 3]);
  });

  test('although the channel of its agent is lost, once it is settled', () => {
    handBack();
    moves.settled(offersOf(1), ID);
    moves.channelLost(offersOf(1));
    agent(2).offered?.prepared();
    expect([agent(2).said, moved]).toEqual([['OFFER', 'COMMIT'], ['drain b2']]);
  });

  test('with what has come of its next request, of which nothing counts as routed', () => {
    handBack(DRAIN, snapshotOf('GET / HT', PER_REQUEST | layout.ROUTED));
    expect(agent(2).snapshot.toString('latin1', layout.HEADER_BYTES)).toBe('GET / HT');
    expect(agent(2).snapshot[layout.FLAGS]).toBe(PER_REQUEST);
  });
});

describe('a request belongs elsewhere', () => {
  test('its connection goes where the routes say', () => {
    open([{ match: { path_prefix: ['/api'] }, pool: 'api' }, { pool: 'web' }]);
    handBack(STRAY, snapshotOf(get('/api/x') + get('/next'), PER_REQUEST));
    expect([agent(2).said, agent(3).said]).toEqual([[], ['OFFER']]);
    expect(agent(3).snapshot[layout.FLAGS]).toBe(PER_REQUEST | layout.ROUTED);
    expect(agent(3).snapshot.toString('latin1', layout.HEADER_BYTES)).toBe(get('/api/x') + get('/next'));
  });

  test('or nowhere', () => {
    open([{ match: { path: ['/gone'] }, deny: { status: 403 } }]);
    handBack(STRAY, snapshotOf(get('/gone'), PER_REQUEST));
    handBack(STRAY, snapshotOf(get('/other'), PER_REQUEST));
    handBack(STRAY, snapshotOf('GARBAGE\r\n', PER_REQUEST));
    expect(agent(1).said).toEqual(['RETURNED 1 answered', 'RETURNED 1 no_route', 'RETURNED 1 malformed']);
    expect(stayed).toEqual(['route answered', 'route no_route', 'route malformed']);
  });

  test('or stays, where the policy picks its own backend', () => {
    for (const offers of [agent(2), agent(3)]) offers.open = false;
    handBack(STRAY, snapshotOf(get('/'), PER_REQUEST));
    expect(agent(1).said).toEqual(['RETURNED 1 same_backend']);
  });
});

describe('a connection stays', () => {
  test.each<[string, () => void, string]>([
    ['where nobody takes it', () => [2, 3].forEach((k) => (agent(k).open = false)), 'no_backend'],
    ['where the thread stops', () => (moves.stopping = true), 'stopping'],
    ['where it is steered to another agent', () => flows.insert(FLOW, HOP, 2, 7, 1, CLIENT), 'not_steered'],
    ['where it is another handoff', () => flows.insert(FLOW, HOP, 1, 7, 2, CLIENT), 'not_steered'],
    ['where it is not steered', () => flows.remove(FLOW, ID), 'not_steered'],
  ])('%s', (_what, arrange, reason) => {
    arrange();
    handBack();
    expect([agent(1).said, stayed, moves.size]).toEqual([[`RETURNED 1 ${reason}`], [`drain ${reason}`], 0]);
  });

  test('where the snapshot is none', () => {
    handBack(DRAIN, Buffer.alloc(20));
    expect(agent(1).said).toEqual(['RETURNED 1 malformed']);
  });

  test('where its agent is no backend of the pool that it names', () => {
    handBack({ ...DRAIN, pool: 'api' });
    expect([agent(1).said, agent(3).said]).toEqual([['RETURNED 1 not_steered'], []]);
  });

  test('where the edited head is too long for its queue', () => {
    const edits = { set: [['X-A', 'b']], remove: [] } as const;
    open([{ pool: 'api', edits }]);
    const head = get('/');
    handBack(STRAY, snapshotOf(head + 'x'.repeat(layout.MAX_QUEUE_BYTES - head.length), PER_REQUEST));
    expect(agent(1).said).toEqual(['RETURNED 1 malformed']);
  });

  test('where its pool is unknown', () => {
    handBack({ ...DRAIN, pool: 'none' });
    expect(agent(1).said).toEqual(['RETURNED 1 no_backend']);
  });

  test('where the wanted backend is its own, or none', () => {
    handBack({ ...DRAIN, backend: 'b1' });
    handBack({ ...DRAIN, backend: 'b9' });
    expect(agent(1).said).toEqual(['RETURNED 1 no_backend', 'RETURNED 1 no_backend']);
  });

  test('where all refuse it', () => {
    handBack();
    agent(2).offered?.rejected('kernel');
    agent(3).offered?.lost();
    expect([agent(1).said, stayed]).toEqual([['RETURNED 1 refused'], ['drain refused']]);
  });

  test('where its agent takes it back', () => {
    handBack();
    agent(2).offered?.prepared();
    moves.withdrawn(offersOf(1), ID);
    moves.settled(offersOf(1), ID);
    // One answer to each hand back, so that the agent can tell it from that to the next.
    expect([agent(1).said, agent(2).said]).toEqual([['RETURNED 1 unspecified'], ['OFFER', 'ABORT']]);
    expect([flows.get(FLOW)?.backend, moves.size]).toEqual([1, 0]);
  });

  test('where the channel of its agent is lost before it is settled', () => {
    handBack();
    agent(2).offered?.prepared();
    moves.channelLost(offersOf(1));
    expect([agent(2).said, stayed]).toEqual([['OFFER', 'ABORT'], ['drain channel_lost']]);
  });

  test('where its client has begun a new connection meanwhile', () => {
    handBack();
    flows.remove(FLOW, ID);
    moves.settled(offersOf(1), ID);
    agent(2).offered?.prepared();
    expect([agent(1).said, agent(2).said]).toEqual([['RETURNED 1 not_steered'], ['OFFER', 'ABORT']]);
    expect(flows.size).toBe(0);
  });

  test('where its agent says no more about it', async () => {
    handBack();
    agent(2).offered?.prepared();
    await until(() => agent(1).said.length > 0);
    expect([agent(1).said, agent(2).said]).toEqual([['RETURNED 1 refused'], ['OFFER', 'ABORT']]);
  });
});

test('a connection that is on its way is not handed back again, nor by another agent', () => {
  handBack();
  handBack();
  handBack(DRAIN, snapshotOf(), ID, 2);
  expect([agent(1).said, agent(2).said]).toEqual([
    ['RETURNED 1 not_steered'],
    ['OFFER', 'RETURNED 1 not_steered'],
  ]);
  moves.settled(offersOf(2), ID);
  agent(2).offered?.prepared();
  expect(moved).toEqual([]);
  moves.settled(offersOf(1), ID);
  expect(moved).toEqual(['drain b2']);
});

describe('a place is reserved', () => {
  test('while the connection goes on, and then it leaves', () => {
    reserved();
    expect([agent(1).said, agent(2).said, flows.get(FLOW)?.backend]).toEqual([['RESERVED 1'], ['OFFER'], 1]);
    leave();
    expect([agent(1).said, agent(2).said]).toEqual([
      ['RESERVED 1', 'TAKEN 1'],
      ['OFFER', 'COMMIT'],
    ]);
    expect([flows.get(FLOW)?.backend, moved, moves.size]).toEqual([2, ['drain b2'], 0]);
  });

  test.each<[string, number, string]>([
    ['the next request', PER_REQUEST, get('/')],
    ['a part of it', PER_REQUEST, 'GET / HT'],
    ['what nobody judges', 0, 'anything'],
  ])('and %s travels along', (_what, flags, text) => {
    reserved(flags);
    const before = flows.get(FLOW)?.client.sequence;
    leave(text);
    expect(agent(2).said).toEqual(['OFFER', `APPEND ${text}`, 'COMMIT']);
    const expected = agent(2).snapshot.readUInt32BE(layout.RECEIVE_SEQUENCE) + text.length;
    expect([before, flows.get(FLOW)?.client.sequence]).toEqual([CLIENT.sequence, expected >>> 0]);
  });

  test('and the next request belongs elsewhere: it goes there, as if it had been handed back', () => {
    open([{ match: { path_prefix: ['/api'] }, pool: 'api' }, { pool: 'web' }]);
    reserved(PER_REQUEST);
    leave(get('/api/x'));
    expect([agent(2).said, agent(3).said]).toEqual([['OFFER', 'ABORT'], ['OFFER']]);
    const { snapshot } = agent(3);
    expect(snapshot.toString('latin1', layout.HEADER_BYTES)).toBe(get('/api/x'));
    expect(snapshot.readUInt32BE(layout.RECEIVE_SEQUENCE)).toBe(
      (agent(2).snapshot.readUInt32BE(layout.RECEIVE_SEQUENCE) + get('/api/x').length) >>> 0,
    );
    agent(3).offered?.prepared();
    expect([agent(1).said, moved]).toEqual([['RESERVED 1', 'TAKEN 1'], ['drain b3']]);
  });

  test('and its own agent has to answer the next request', () => {
    open([{ match: { path: ['/gone'] }, deny: { status: 403 } }, { pool: 'web' }]);
    reserved(PER_REQUEST);
    leave(get('/gone'));
    expect([agent(1).said, agent(2).said]).toEqual([
      ['RESERVED 1', 'RETURNED 1 answered'],
      ['OFFER', 'ABORT'],
    ]);
  });

  test('and its backend takes no more: the connection goes to another one', () => {
    reserved();
    agent(2).open = false;
    leave('x');
    expect([agent(2).said, agent(3).said]).toEqual([['OFFER', 'ABORT'], ['OFFER']]);
    agent(3).offered?.prepared();
    expect(moved).toEqual(['drain b3']);
  });

  test('and lost with its channel: there is another one, or the connection stays', () => {
    reserved();
    agent(2).open = false;
    moves.channelLost(offersOf(2));
    agent(3).offered?.prepared();
    expect(agent(1).said).toEqual(['RESERVED 1', 'RESERVED 1']);
    agent(3).open = false;
    moves.channelLost(offersOf(3));
    expect(agent(1).said.at(-1)).toBe('RETURNED 1 refused');
    leave();
    expect([moved, moves.size]).toEqual([[], 0]);
  });

  test('and given up', () => {
    reserved();
    moves.withdrawn(offersOf(1), ID);
    leave();
    expect([agent(1).said, agent(2).said]).toEqual([
      ['RESERVED 1', 'RETURNED 1 unspecified'],
      ['OFFER', 'ABORT'],
    ]);
  });

  test('and outlives the time that an answer may take', async () => {
    reserved();
    await new Promise((resolve) => setTimeout(resolve, 2 * PREPARE_MS));
    leave();
    expect(moved).toEqual(['drain b2']);
  });

  test('and counted, as long as there is one', () => {
    const places = (): number[] => [agent(1).placesOf, agent(2).placesFor, agent(3).placesFor];
    reserve();
    expect(places()).toEqual([1, 0, 0]);
    agent(2).offered?.prepared();
    expect(places()).toEqual([1, 1, 0]);
    agent(2).open = false;
    moves.channelLost(offersOf(2));
    agent(3).offered?.prepared();
    expect(places()).toEqual([1, 0, 1]);
    leave();
    expect(places()).toEqual([0, 0, 0]);
    for (const [limited, said] of [
      [() => (agent(1).placesOf = MOST_PLACES_OF), []],
      [() => (agent(2).placesFor = MOST_PLACES_FOR), ['OFFER', 'ABORT']],
    ] as const) {
      open();
      limited();
      reserve();
      agent(2).offered?.prepared();
      expect([agent(1).said, agent(2).said]).toEqual([['RETURNED 1 refused'], said]);
    }
  });

  test('and given up when the thread stops', () => {
    reserved();
    moves.stopping = true;
    expect([agent(1).said, agent(2).said, moves.size]).toEqual([
      ['RESERVED 1', 'RETURNED 1 stopping'],
      ['OFFER', 'ABORT'],
      0,
    ]);
  });

  test('and its snapshot is old when it leaves another way: the clock has gone on', async () => {
    open([{ match: { path_prefix: ['/api'] }, pool: 'api' }, { pool: 'web' }]);
    reserved(PER_REQUEST);
    const began = agent(2).snapshot.readUInt32BE(layout.TIMESTAMP);
    await new Promise((resolve) => setTimeout(resolve, 50));
    leave(get('/api/x'));
    const ticks = agent(3).snapshot.readUInt32BE(layout.TIMESTAMP) - began;
    expect(ticks).toBeGreaterThanOrEqual((began & 1) === 0 ? 49 : 49_000);
  });

  test('but not where that has taken so long that its clock may be behind', async () => {
    reserve();
    await new Promise((resolve) => setTimeout(resolve, PREPARE_MS + 20));
    agent(3).offered?.prepared();
    expect(agent(1).said).toEqual(['RETURNED 1 refused']);
  });

  test('but not for octets, by another agent, or before it is there', () => {
    reserve(DRAIN, snapshotOf('x'));
    expect(agent(1).said).toEqual(['RETURNED 1 malformed']);
    reserve();
    moves.settled(offersOf(1), ID);
    leave('', 2);
    expect([agent(2).said, moved]).toEqual([['OFFER'], []]);
    // An agent that does not wait for RESERVED gets what a HANDBACK gets.
    leave('x');
    expect([agent(2).said, agent(3).said]).toEqual([['OFFER', 'ABORT'], ['OFFER']]);
  });
});
