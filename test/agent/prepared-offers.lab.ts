import { closeSync, openSync, readdirSync } from 'node:fs';
import type { Socket } from 'node:net';
import { MOST_PREPARED, PreparedOffers, RejectedOffer } from '../../src/agent/adopter';
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
  agent = new AgentParts((socket) => {
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
  offers.offer(idOf(sequence), bytes, 0, bytes.length);
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

test('the same connection is not prepared twice', () => {
  offer(1);
  const bytes = makeSnapshot({ flow: flowOf(1), queues: [0, 0, 0] });
  offers.offer(idOf(2), bytes, 0, bytes.length);
  // The older one was what was left of an old connection, as far as this kernel can tell.
  expect(offers.size).toBe(2);
  offers.abort(idOf(1));
  offers.commit(idOf(2), 'f1');
  expect(admitted).toHaveLength(1);
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
