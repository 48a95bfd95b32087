import { makeFlow, parseAddress } from '../../src/kernel/flow';
import { ConnectionCounts } from '../../src/front/connection-counts';
import { FlowKeeper } from '../../src/front/flow-keeper';
import { monotonicNs } from '../../src/steer/flow-table';
import type { FlowRecord } from '../../src/steer/flow-table';
import { until } from '../kernel/pair';
import { MemoryFlowTable } from '../steer/memory-flow-table';

const LINGER_MS = 60;
const IDLE_MS = 60_000;
const NS_PER_MS = 1e6;
const HOP = { address: parseAddress('198.18.0.21'), ifindex: 2 };
/** Numbers of the backends of two agents. */
const OURS = new Set([1, 2]);

let table: MemoryFlowTable;
let keeper: FlowKeeper;
/** What clients were told: the word and the client's port. */
let farewells: string[];

const CLIENT_PORT = 32;

/** Takes down who would be spoken to. */
const saying = {
  probe: (flow: Buffer) => farewells.push(`probe ${flow.readUInt16BE(CLIENT_PORT)}`),
  reset: (flow: Buffer) => farewells.push(`reset ${flow.readUInt16BE(CLIENT_PORT)}`),
};

beforeEach(() => {
  table = new MemoryFlowTable();
  farewells = [];
  keeper = new FlowKeeper(table, { lingerMs: LINGER_MS, idleMs: IDLE_MS }, saying);
});

afterEach(() => keeper.stop());

/** Enters a flow from the client's port `port` and returns its record. */
function steer(port: number, sequence = port, backend = 1): FlowRecord {
  const flow = makeFlow('198.18.1.1', port, '198.19.0.1', 80);
  table.insert(flow, HOP, backend, 7, sequence, { sequence: 1, acknowledged: 2, initial: 0 });
  return { flow, id: { epoch: 7, sequence } };
}

const isSteered = ({ flow, id }: FlowRecord): boolean => table.get(flow)?.id.sequence === id.sequence;

/** Waits for as long as anything that lingers now may stay, and a little more. */
async function lingered(): Promise<void> {
  const mark = steer(65_535);
  keeper.closed([mark], OURS);
  await until(() => !isSteered(mark));
}

describe('a closed connection', () => {
  test('is steered for the linger, and then no more', async () => {
    const [closed, other] = [steer(1), steer(2)];
    const began = performance.now();
    keeper.closed([closed], OURS);
    expect(keeper.lingering).toBe(1);
    await until(() => !isSteered(closed));
    expect(performance.now() - began).toBeGreaterThanOrEqual(LINGER_MS - 1);
    expect([isSteered(other), keeper.lingering]).toEqual([true, 0]);
  });

  test('that still gets packets stays until the linger after the last of them', async () => {
    const closed = steer(1);
    const lastSeen = monotonicNs() + 3 * LINGER_MS * NS_PER_MS;
    table.setTimes(closed.flow, { lastSeen });
    keeper.closed([closed], OURS);
    await lingered();
    expect([isSteered(closed), keeper.lingering]).toEqual([true, 1]);
    await until(() => !isSteered(closed));
    expect(monotonicNs()).toBeGreaterThanOrEqual(lastSeen + LINGER_MS * NS_PER_MS);
  });

  test('has a successor on the same port that is not touched', async () => {
    const closed = steer(1, 10);
    keeper.closed([closed], OURS);
    const successor = steer(1, 11);
    await lingered();
    expect([isSteered(successor), keeper.lingering]).toEqual([true, 0]);
    // Nor by a report that comes late.
    keeper.closed([closed], OURS);
    await lingered();
    expect([isSteered(successor), keeper.lingering]).toEqual([true, 0]);
  });

  test('is the word of the agent that has it, and of no other', async () => {
    const closed = steer(1);
    keeper.closed([closed], new Set([5]));
    keeper.voided([closed], new Set([5]));
    await lingered();
    expect([isSteered(closed), keeper.lingering, farewells]).toEqual([true, 0, []]);
  });

  test('takes no more memory when an agent says it again and again, or makes connections up', () => {
    const closed = steer(1);
    for (let n = 0; n < 10_000; n++) {
      const made = { flow: makeFlow('198.18.1.2', 1 + n, '198.19.0.1', 80), id: { epoch: 7, sequence: n } };
      keeper.closed([closed, made], OURS);
      keeper.listed('a', [closed, made], false, 0, OURS);
    }
    expect(keeper.lingering).toBe(1);
  });

  test('may be reported twice, or without an entry', async () => {
    const closed = steer(1);
    table.remove(closed.flow, closed.id);
    keeper.closed([closed, closed], OURS);
    await lingered();
    expect(keeper.lingering).toBe(0);
  });
});

describe("an agent's list", () => {
  const later = (): number => monotonicNs() + 1;

  test('ends what should be on it and is not', async () => {
    const [alive, over] = [steer(1), steer(2)];
    keeper.listed('a', [alive], true, later(), OURS);
    expect(keeper.lingering).toBe(1);
    await lingered();
    expect([isSteered(alive), isSteered(over)]).toEqual([true, false]);
  });

  test('names handoffs, not flows', async () => {
    const old: FlowRecord = { flow: steer(1, 10).flow, id: { epoch: 7, sequence: 9 } };
    keeper.listed('a', [old], true, later(), OURS);
    await lingered();
    expect(table.get(old.flow)).toBeUndefined();
  });

  test('comes in parts, and counts when it is complete', async () => {
    const flows = [steer(1), steer(2), steer(3)];
    keeper.listed('a', flows.slice(0, 1), false, later(), OURS);
    keeper.listed('a', flows.slice(1, 2), false, later(), OURS);
    expect(keeper.lingering).toBe(0);
    keeper.listed('a', [], true, later(), OURS);
    await lingered();
    expect(flows.map(isSteered)).toEqual([true, true, false]);
  });

  test('is not mixed with that of another agent, nor with the last one', async () => {
    const flows = [steer(1), steer(2, 2, 5)];
    keeper.listed('a', flows.slice(0, 1), false, later(), OURS);
    keeper.listed('b', flows.slice(1), true, later(), new Set([5]));
    keeper.listed('a', [], true, later(), OURS);
    await lingered();
    expect(flows.map(isSteered)).toEqual([true, true]);
    keeper.listed('a', [], true, later(), OURS);
    await lingered();
    expect(flows.map(isSteered)).toEqual([false, true]);
  });

  test('says nothing about the flows of other agents', async () => {
    const flows = [steer(1, 1, 1), steer(2, 2, 2), steer(3, 3, 3)];
    keeper.listed('a', [], true, later(), OURS);
    await lingered();
    expect(flows.map(isSteered)).toEqual([false, false, true]);
  });

  test('says nothing about flows that are younger than the question', async () => {
    const askedAt = monotonicNs();
    const flows = [steer(1), steer(2), steer(3)];
    [askedAt - 1, askedAt, askedAt + 1].forEach((created, i) => {
      table.setTimes((flows[i] as FlowRecord).flow, { created });
    });
    keeper.listed('a', [], true, askedAt, OURS);
    await lingered();
    expect(flows.map(isSteered)).toEqual([false, true, true]);
  });

  test('that breaks off is void', async () => {
    const flows = [steer(1), steer(2)];
    keeper.listed('a', flows.slice(0, 1), false, later(), OURS);
    keeper.forgetList('a');
    expect(keeper.lingering).toBe(0);
    keeper.listed('a', flows.slice(1), true, later(), OURS);
    await lingered();
    expect(flows.map(isSteered)).toEqual([false, true]);
  });
});

test('what nobody reports goes when it has been silent for long, in all parts of the table', async () => {
  const silences = [IDLE_MS - 1000, 0, 0, 0, IDLE_MS + 1, IDLE_MS - 1000, IDLE_MS + 1];
  const flows = silences.map((_, i) => steer(i));
  const now = monotonicNs();
  silences.forEach((silentMs, i) => {
    table.setTimes((flows[i] as FlowRecord).flow, { lastSeen: now - silentMs * NS_PER_MS });
  });
  keeper.searchIdle();
  // Asked again in the midst of it, it goes on.
  keeper.searchIdle();
  await until(() => table.size === 5);
  expect(flows.map(isSteered)).toEqual(silences.map((silentMs) => silentMs <= IDLE_MS));
});

test('silent flows are looked for by itself, and not after stop', async () => {
  const brief = new FlowKeeper(table, { lingerMs: LINGER_MS, idleMs: 40 }, saying);
  const idle = steer(1);
  await until(() => !isSteered(idle));
  brief.stop();
  keeper.stop();
  const later = steer(2);
  keeper.closed([later], OURS);
  await new Promise((resolve) => setTimeout(resolve, 2 * LINGER_MS));
  expect([isSteered(later), keeper.lingering]).toEqual([true, 1]);
});

test('silent flows are looked for also where reloads come faster than searches', async () => {
  // A search is due every 100 ms, and no keeper lives for half as long.
  const options = { lingerMs: LINGER_MS, idleMs: 400 };
  const idle = steer(1);
  let current = new FlowKeeper(table, options, saying);
  const reloads = setInterval(() => {
    current.stop();
    current = new FlowKeeper(table, options, saying, undefined, current);
  }, 40);
  try {
    await until(() => !isSteered(idle));
  } finally {
    clearInterval(reloads);
    current.stop();
  }
});

test('a shorter linger holds for what lingers already', async () => {
  const long = new FlowKeeper(table, { lingerMs: 60_000, idleMs: IDLE_MS }, saying);
  const closed = steer(1);
  long.closed([closed], OURS);
  long.stop();
  const short = new FlowKeeper(table, { lingerMs: LINGER_MS, idleMs: IDLE_MS }, saying, undefined, long);
  expect(short.lingering).toBe(1);
  await until(() => !isSteered(closed));
  short.stop();
});

describe('a client that nobody may serve', () => {
  test('is made to speak when the list lacks its connection, and the others are left alone', () => {
    const [live, missing, young, foreign] = [steer(1), steer(2), steer(3), steer(4, 4, 9)];
    const askedAt = monotonicNs() + NS_PER_MS;
    table.setTimes(young.flow, { created: askedAt + 1 });
    keeper.listed('a', [live], true, askedAt, OURS);
    expect(farewells).toEqual(['probe 2']);
    expect([live, missing, young, foreign].map(isSteered)).toEqual([true, true, true, true]);
    expect(keeper.lingering).toBe(1);
  });

  test('is made to speak when its copy is void, unless the port is in use again or was never steered', () => {
    const [copy, old] = [steer(1), steer(2, 10)];
    steer(2, 11);
    const unknown = { flow: makeFlow('198.18.1.1', 3, '198.19.0.1', 80), id: { epoch: 7, sequence: 3 } };
    keeper.voided([copy, old, unknown], OURS);
    expect(farewells).toEqual(['probe 1']);
    expect(keeper.lingering).toBe(1);
  });

  test('is made to speak when the channel broke on which it was committed, if that is not long ago', () => {
    const [old, young, foreign] = [steer(1), steer(2), steer(3, 3, 9)];
    const since = monotonicNs() - NS_PER_MS;
    table.setTimes(old.flow, { created: since - 1 });
    for (const { flow } of [young, foreign]) table.setTimes(flow, { created: since });
    keeper.doubt(OURS, since);
    expect(farewells).toEqual(['probe 2']);
    expect([keeper.lingering, isSteered(young)]).toEqual([0, true]);
  });

  test('is reset, and steered no more, when the host is gone', () => {
    const [one, two, foreign] = [steer(1), steer(2, 2, 2), steer(3, 3, 9)];
    expect(keeper.hostGone(OURS)).toBe(2);
    expect(farewells).toEqual(['reset 1', 'reset 2']);
    expect([one, two, foreign].map(isSteered)).toEqual([false, false, true]);
    expect(keeper.hostGone(OURS)).toBe(0);
  });
});

describe('with limits', () => {
  test('an end counts once, also after a reload, and what nobody told of is counted anew', async () => {
    const counts = new ConnectionCounts();
    const [told, untold, open] = [steer(1), steer(2), steer(3)];
    for (const { flow } of [told, untold, open]) {
      counts.accepted(flow);
      counts.handed(flow);
    }
    keeper.stop();
    const options = { lingerMs: 60_000, idleMs: IDLE_MS };
    keeper = new FlowKeeper(table, options, saying, counts);
    await keeper.recount(counts);
    expect(counts.ofVip(open.flow)).toBe(3);
    keeper.closed([told], OURS);
    keeper.closed([told], OURS);
    expect(counts.ofVip(open.flow)).toBe(2);
    // Its client has begun a new connection from the same port, and so the kernel has removed the entry.
    table.remove(untold.flow, untold.id);
    keeper.closed([untold], OURS);
    expect(counts.ofVip(open.flow)).toBe(2);
    await keeper.recount(counts);
    expect(counts.ofVip(open.flow)).toBe(1);
    keeper.stop();
    // After a reload.
    keeper = new FlowKeeper(table, options, saying, counts, keeper);
    expect(keeper.lingering).toBe(1);
    keeper.closed([told], OURS);
    expect(counts.ofVip(open.flow)).toBe(1);
    keeper.closed([open], OURS);
    await keeper.recount(counts);
    expect(counts.ofVip(open.flow)).toBe(0);
  });
});
