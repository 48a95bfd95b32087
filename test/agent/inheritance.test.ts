import type { Arrival } from '../../src/agent/adopter';
import { Estate } from '../../src/agent/estate';
import { FrontRules } from '../../src/agent/front-rules';
import { Inheritance } from '../../src/agent/inheritance';
import { LiveConnections, type LiveConnection } from '../../src/agent/live-connections';
import { Inlet } from '../../src/agent/request-gate';
import { sentRecord, type SentConnection } from '../../src/agent/succession-messages';
import { Undelivered } from '../../src/agent/undelivered';
import { recv } from '../../src/kernel/libc';
import { silentLogger } from '../../src/observe/log';
import type { FlowRecord } from '../../src/steer/flow-table';
import { openPair, until, type Pair } from '../kernel/pair';
import { TABLE, tableText } from './gated';

const ECONNRESET = 104;
const MSG_DONTWAIT = 0x40;

let pair: Pair;
let estate: Estate;
let live: LiveConnections;
let rules: FrontRules;
let told: string[];
let admitted: { connection: LiveConnection; arrival: Arrival }[];
let undelivered: Undelivered;
let inheritance: Inheritance;

beforeEach(() => {
  pair = openPair();
  estate = new Estate();
  live = new LiveConnections(() => undefined);
  rules = new FrontRules();
  [told, admitted] = [[], []];
  const note = (what: string) => (record: FlowRecord) => void told.push(`${what} ${record.id.sequence}`);
  // The kernel has nothing of any of them.
  undelivered = new Undelivered(
    () => undefined,
    () => false,
    note('delivered'),
  );
  inheritance = new Inheritance({
    estate,
    live,
    undelivered,
    control: { rules, reportClosed: note('closed'), reportVoid: note('void') },
    admit: (connection, arrival) => admitted.push({ connection, arrival }),
    logger: silentLogger(),
  });
});

afterEach(() => {
  undelivered.stop();
  for (const { socket } of live) socket.destroy();
  pair.close();
});

const record = (sequence: number): FlowRecord => ({ flow: pair.flow, id: { epoch: 1, sequence } });

function hold(...sequences: number[]): void {
  inheritance.holds(sequences.map((sequence) => ({ ...record(sequence), front: 'f1' })));
}

const sent = (more: Partial<SentConnection> = {}): SentConnection => ({
  type: 'connection',
  ...sentRecord(record(1)),
  front: 'f1',
  ageMs: 5000,
  asked: true,
  raw: false,
  judged: false,
  held: '',
  ...more,
});

test('a connection that is passed is live here, with all that was known of it', () => {
  hold(1);
  expect(estate.holderOf(pair.flow.toString('latin1'))).toBe('f1');
  const details = { micros: 7, route: 'web#1', pool: 'web' };
  const [held, state] = ['GET', 'session'].map((text) => Buffer.from(text).toString('base64'));
  inheritance.passed(sent({ raw: true, details, held: held ?? '', state }), pair.giveServer());
  expect([estate.size, live.size]).toEqual([0, 1]);
  const [{ connection, arrival } = { connection: undefined, arrival: undefined }] = admitted;
  expect(connection).toMatchObject({ ...record(1), front: 'f1', details, asked: true });
  expect(performance.now() - (connection?.since ?? 0)).toBeGreaterThanOrEqual(5000);
  expect(arrival).toMatchObject({ entry: undefined, raw: true });
  expect([String(arrival?.held), String(arrival?.state)]).toEqual(['GET', 'session']);
});

test('a judged one is judged by what its front had said, and comes with what its last request was led by', () => {
  rules.inherit('f1', tableText(TABLE));
  hold(1);
  inheritance.passed(sent({ judged: true, served: { pool: 'a', key: 'k' } }), pair.giveServer());
  const entry = admitted[0]?.arrival.entry as Inlet;
  expect(entry).toBeInstanceOf(Inlet);
  expect(entry.rules).toBe(rules.inheritedOf('f1'));
  expect([entry.routed, entry.served]).toEqual([false, { pool: 'a', key: 'k' }]);
});

test('without rules it is broken off, and never served unjudged', async () => {
  hold(1);
  inheritance.passed(sent({ judged: true }), pair.giveServer());
  const octets = Buffer.alloc(1);
  let result = 0;
  await until(() => (result = recv(pair.client, octets, 1, MSG_DONTWAIT)) === -ECONNRESET);
  expect([result, admitted, estate.size]).toEqual([-ECONNRESET, [], 0]);
  expect(told).toEqual(['closed 1']);
});

test('ends there are told as ends here, once', () => {
  hold(1, 2, 3);
  inheritance.closed([record(1), record(1), record(9)]);
  inheritance.voided([record(2)]);
  expect(told).toEqual(['closed 1', 'void 2']);
  expect(estate.size).toBe(1);
});

test('with the end of that process all ends that it had', async () => {
  rules.inherit('f1', tableText(TABLE));
  hold(1, 2);
  inheritance.closed([record(1)]);
  inheritance.gone();
  expect([estate.size, rules.inheritedOf('f1')]).toEqual([0, undefined]);
  await until(() => told.length === 2);
  expect(told).toEqual(['closed 1', 'delivered 2']);
});
