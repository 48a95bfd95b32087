import { EADDRNOTAVAIL, EPERM } from '../../src/kernel/errors';
import { Farewells } from '../../src/front/farewells';
import { until } from '../kernel/pair';

const NUMBERS = { initial: 0, sequence: 1, acknowledged: 2 };
const flowOf = (k: number): Buffer => Buffer.from([k >> 8, k & 255]);
const numberOf = (flow: Buffer): number => flow.readUInt16BE(0);

/** What was said to whom, in order. */
let said: string[];
let farewells: Farewells;

/** A way of speaking that comes to the given results, then to 0. */
function saying(word: string, ...results: number[]) {
  return (flow: Buffer, numbers: unknown): number => {
    expect(numbers).toBe(NUMBERS);
    said.push(`${word} ${numberOf(flow)}`);
    return results.shift() ?? 0;
  };
}

beforeEach(() => {
  said = [];
});

afterEach(() => farewells.stop());

test('everybody is told once, in order, and not all in one turn of the event loop', async () => {
  farewells = new Farewells(saying('probe'), saying('reset'));
  for (let k = 0; k < 1000; k++) {
    if (k % 2 === 0) farewells.probe(flowOf(k), NUMBERS);
    else farewells.reset(flowOf(k), NUMBERS);
  }
  expect(said).toEqual([]);
  const perTurn: number[] = [];
  while (said.length < 1000) {
    const before = said.length;
    await new Promise((resolve) => setImmediate(resolve));
    perTurn.push(said.length - before);
  }
  expect(said).toEqual(Array.from({ length: 1000 }, (_, k) => `${k % 2 === 0 ? 'probe' : 'reset'} ${k}`));
  expect(Math.max(...perTurn)).toBeLessThan(200);
});

test('who cannot be told yet, because the old socket is still here, is told later', async () => {
  farewells = new Farewells(saying('probe', -EADDRNOTAVAIL), saying('reset', -EADDRNOTAVAIL));
  farewells.probe(flowOf(1), NUMBERS);
  farewells.reset(flowOf(2), NUMBERS);
  await until(() => said.length === 4);
  expect(said).toEqual(['probe 1', 'reset 2', 'probe 1', 'reset 2']);
});

test('three attempts are enough, and other failures are final', async () => {
  const busy = Array.from({ length: 9 }, () => -EADDRNOTAVAIL);
  farewells = new Farewells(saying('probe', ...busy), saying('reset', -EPERM));
  farewells.probe(flowOf(1), NUMBERS);
  farewells.reset(flowOf(2), NUMBERS);
  await until(() => said.length === 4);
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(said).toEqual(['probe 1', 'reset 2', 'probe 1', 'probe 1']);
});

test('after a stop nobody is told anything', async () => {
  farewells = new Farewells(saying('probe', -EADDRNOTAVAIL), saying('reset'));
  farewells.probe(flowOf(1), NUMBERS);
  await until(() => said.length === 1);
  farewells.reset(flowOf(2), NUMBERS);
  farewells.stop();
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(said).toEqual(['probe 1']);
});
