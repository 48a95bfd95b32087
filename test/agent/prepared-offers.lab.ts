import { closeSync, openSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { MOST_PREPARED, PreparedOffers } from '../../src/agent/prepared-offers';
import { RejectedOffer } from '../../src/agent/rejected-offer';
import { raiseFileLimit } from '../../src/kernel/libc';
import { makeFlow } from '../../src/kernel/flow';
import { prepareFreeze } from '../../src/repair/freeze';
import { until } from '../kernel/pair';
import { makeSnapshot } from '../repair/snapshots';
import { AgentParts, VIP } from './agent-parts';

let agent: AgentParts;
let offers: PreparedOffers;
let admitted: Socket[];

beforeAll(() => {
  raiseFileLimit();
  prepareFreeze();
});

beforeEach(() => {
  admitted = [];
  agent = new AgentParts(({ socket }) => {
    socket.on('error', () => undefined);
    admitted.push(socket);
  });
  offers = new PreparedOffers(agent.adopter);
});

afterEach(() => {
  offers.channelLost();
  agent.close();
});

const idOf = (sequence: number) => ({ epoch: 7, sequence });
/** No such client is there: it is not asked before a commit. */
const flowOf = (sequence: number): Buffer => makeFlow('127.0.0.2', 10_000 + sequence, VIP, 80);

function offer(sequence: number): void {
  const bytes = makeSnapshot({ flow: flowOf(sequence), queues: [0, 0, 0] });
  offers.offer(idOf(sequence), bytes, 0, bytes.length, 'f1');
}

const descriptors = (): number => readdirSync('/proc/self/fd').length;

test('one channel prepares so many connections and no more', () => {
  const before = descriptors();
  const began = performance.now();
  for (let i = 0; i < MOST_PREPARED; i++) offer(i);
  const each = ((performance.now() - began) / MOST_PREPARED) * 1000;
  expect(() => offer(MOST_PREPARED)).toThrow(
    new RejectedOffer('too_many_offers', '4096 offers wait for a decision'),
  );
  expect([offers.size, agent.restores, descriptors() - before]).toEqual([4096, 4096, 4096]);

  offers.abort(idOf(5));
  expect(() => offer(MOST_PREPARED)).not.toThrow();
  expect([...offers.flows()].length).toBe(MOST_PREPARED);

  offers.channelLost();
  expect([offers.size, descriptors() - before]).toEqual([0, 0]);
  expect(agent.adopter.results).toEqual({
    ok: 0,
    rejected: 1,
    aborted: 1,
    channel_lost: MOST_PREPARED,
    failed: 0,
  });
  process.stdout.write(`prepared: ${MOST_PREPARED} restores, ${each.toFixed(0)} us each\n`);
});

test('an id is good for one offer', () => {
  offer(1);
  expect(() => offer(1)).toThrow('1 offers wait for a decision');
  offers.abort(idOf(1));
  offers.abort(idOf(1));
  offer(1);
  expect(agent.adopter.results).toMatchObject({ rejected: 1, aborted: 1 });
});

/** With our window closed it goes live without a probe, so nobody says that there is no such client. */
function offerSilent(sequence: number, by: PreparedOffers, front: string, of = 1): void {
  const bytes = makeSnapshot({ flow: flowOf(of), windows: [60_000, 65_535, 0], queues: [0, 0, 0] });
  by.offer(idOf(sequence), bytes, 0, bytes.length, front);
}

test('a connection that waits for a decision is not prepared twice, whoever offers it', () => {
  const other = new PreparedOffers(agent.adopter);
  const refusal = new RejectedOffer('address_in_use', 'the flow waits for a decision');
  const before = descriptors();
  offer(1);
  expect(() => offerSilent(2, offers, 'f1')).toThrow(refusal);
  expect(() => offerSilent(1, other, 'f2')).toThrow(refusal);
  expect([offers.size, other.size, descriptors() - before]).toEqual([1, 0, 1]);
  // The first is as good as before.
  offers.commit(idOf(1), 'f1');
  expect(admitted).toHaveLength(1);

  offer(3);
  offers.abort(idOf(3));
  offerSilent(3, other, 'f2', 3);
  expect(other.size).toBe(1);
  other.channelLost();
});

test('a live connection makes way for the front that handed it over, and for no other', async () => {
  offerSilent(1, offers, 'f1');
  offers.commit(idOf(1), 'f1');
  const [alive] = admitted;
  const before = descriptors();
  expect(() => offerSilent(2, offers, 'f2')).toThrow(
    new RejectedOffer('address_in_use', 'the flow is live, handed over by f1'),
  );
  expect(descriptors()).toBe(before);
  expect([alive?.destroyed, agent.live.holderOf(flowOf(1).toString('latin1'))]).toEqual([false, 'f1']);

  offerSilent(3, offers, 'f1');
  offers.commit(idOf(3), 'f1');
  expect(admitted).toHaveLength(2);
  // Its process is told that the old one is over, and the new one keeps the flow.
  alive?.resume();
  await until(() => agent.live.size === 1);
  expect([...agent.live].map(({ id }) => id)).toEqual([idOf(3)]);
  expect(agent.live.holderOf(flowOf(1).toString('latin1'))).toBe('f1');
});

test('flows that are prepared are listed with their ids', () => {
  offer(1);
  offer(2);
  const listed = [...offers.flows()].map(({ flow, id }) => [flow.equals(flowOf(id.sequence)), id.sequence]);
  expect(listed).toEqual([
    [true, 1],
    [true, 2],
  ]);
});

test('a commit makes a connection live, and only once', async () => {
  offer(1);
  offers.commit(idOf(1), 'f1');
  offers.commit(idOf(1), 'f1');
  expect(admitted).toHaveLength(1);
  const { localAddress, localPort } = admitted[0] as Socket;
  expect([localAddress, localPort]).toEqual([VIP, 80]);
  expect([...agent.live]).toMatchObject([{ front: 'f1', id: idOf(1) }]);
  expect([offers.size, agent.adopter.results.ok]).toEqual([0, 1]);
  // The window probe finds nobody at the client's address, who says so.
  admitted[0]?.resume();
  await until(() => agent.live.size === 0);
});

test('descriptors of the reserve are left to others: offers are rejected until connections end', () => {
  const before = descriptors();
  const room = 20;
  agent.close();
  agent = new AgentParts(undefined, lowestFree(room));
  offers = new PreparedOffers(agent.adopter);
  for (let i = 0; i < room; i++) offer(i);
  expect(() => offer(room)).toThrow(/files are open: raise the limit of open files/);
  expect([offers.size, agent.adopter.results.rejected]).toEqual([room, 1]);
  offers.abort(idOf(3));
  expect(() => offer(room)).not.toThrow();
  offers.channelLost();
  expect(descriptors()).toBeLessThanOrEqual(before);
});

/** The descriptor that comes after the `count` lowest ones that are free. */
function lowestFree(count: number): number {
  const lowest = Array.from({ length: count + 1 }, () => openSync('/dev/null', 'r'));
  lowest.forEach((fd) => closeSync(fd));
  return lowest[count] ?? NaN;
}
