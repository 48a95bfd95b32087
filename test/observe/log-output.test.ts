import fc from 'fast-check';
import { constants } from 'node:os';
import { LogOutput } from '../../src/observe/log-output';
import { laneCounters, LogLane, takeFromLane } from '../../src/observe/log-lane';

const { EAGAIN, EINTR, ENOSPC, EPIPE } = constants.errno;
const MIB = 1024 * 1024;

/** A descriptor that takes `room` bytes and then fails in a way of the test's choice. */
class Descriptor {
  text = '';
  room = Infinity;
  errno = EAGAIN;
  /** Sizes of the writes that were tried. */
  readonly tried: number[] = [];

  readonly write = (bytes: Buffer): number => {
    this.tried.push(bytes.length);
    const taken = Math.min(bytes.length, this.room);
    if (taken === 0) return -this.errno;
    this.room -= taken;
    this.text += bytes.toString('utf8', 0, taken);
    return taken;
  };

  get lines(): string[] {
    expect(this.text.endsWith('\n') || this.text === '').toBe(true);
    return this.text.split('\n').slice(0, -1);
  }
}

function scene(): { descriptor: Descriptor; output: LogOutput } {
  const descriptor = new Descriptor();
  const output = new LogOutput(descriptor.write, (lines, cause) => `dropped ${lines}: ${cause}\n`);
  return { descriptor, output };
}

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

test('a line is out when the call returns', () => {
  const { descriptor, output } = scene();
  output.write('one\n');
  expect(descriptor.text).toBe('one\n');
  output.write('two\n');
  expect(descriptor.text).toBe('one\ntwo\n');
});

test('what does not fit goes out later, in order and in pieces that a pipe takes whole', () => {
  const { descriptor, output } = scene();
  descriptor.room = 0;
  const lines = Array.from({ length: 1000 }, (_, index) => `line ${index} ${'x'.repeat(index % 90)}\n`);
  for (const line of lines) output.write(line);
  // One try for the first line; then a retry is due.
  expect(descriptor.tried).toHaveLength(1);
  descriptor.room = Infinity;
  jest.advanceTimersByTime(20);
  expect(descriptor.text).toBe(lines.join(''));
  expect(Math.max(...descriptor.tried)).toBeLessThanOrEqual(4096);
  expect(output.dropped).toBe(0);
});

test('a slow reader is tried every 20 ms, a broken one every 250 ms, and nobody when nothing waits', () => {
  const { descriptor, output } = scene();
  descriptor.room = 0;
  output.write('one\n');
  jest.advanceTimersByTime(1000);
  expect(descriptor.tried).toHaveLength(1 + 50);
  descriptor.errno = EPIPE;
  jest.advanceTimersByTime(1000);
  expect(descriptor.tried.length).toBeLessThanOrEqual(51 + 5);
  descriptor.room = Infinity;
  jest.advanceTimersByTime(250);
  const tried = descriptor.tried.length;
  expect(descriptor.text).toBe('one\n');
  jest.advanceTimersByTime(10_000);
  expect(descriptor.tried).toHaveLength(tried);
});

test('an interrupted write is tried again at once', () => {
  const { descriptor } = scene();
  const results = [-EINTR, -EINTR];
  const interrupted = new LogOutput(
    (bytes) => results.shift() ?? descriptor.write(bytes),
    () => '',
  );
  interrupted.write('one\n');
  expect(descriptor.text).toBe('one\n');
});

test('beyond 1 MiB the oldest lines go; how many and why stands where they were missed', () => {
  const { descriptor, output } = scene();
  descriptor.room = 3;
  descriptor.errno = ENOSPC;
  // The first line has begun to go out, so it stays.
  output.write('begun\n');
  const size = 1024;
  const line = (index: number): string => `${index} `.padEnd(size - 1, 'x') + '\n';
  const written = 5000;
  for (let index = 0; index < written; index++) output.write(line(index));
  const kept = MIB / size;
  expect(output.dropped).toBe(written - kept);
  descriptor.room = Infinity;
  jest.advanceTimersByTime(250);
  const [first, report, ...rest] = descriptor.lines;
  expect(first).toBe('begun');
  expect(report).toBe(`dropped ${written - kept}: ENOSPC: no space left on device`);
  expect(rest.map((text) => parseInt(text, 10))).toEqual(
    Array.from({ length: kept }, (_, index) => written - kept + index),
  );
  // Reported once.
  output.write('later\n');
  expect(descriptor.lines.at(-1)).toBe('later');
});

test('a line that is longer than everything that may wait is dropped, and counted', () => {
  const { descriptor, output } = scene();
  descriptor.room = 0;
  output.write('begun\n');
  output.write(`${'x'.repeat(2 * MIB)}\n`);
  expect(output.dropped).toBe(1);
  descriptor.room = Infinity;
  output.flush(0);
  expect(descriptor.lines).toEqual(['begun', 'dropped 1: the reader does not keep up']);
});

test('every line is out whole, or counted as dropped, whatever the descriptor takes', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({
          lines: fc.array(fc.integer({ min: 1, max: 300_000 }), { maxLength: 12 }),
          room: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 200_000 })),
          errno: fc.constantFrom(EAGAIN, EPIPE, ENOSPC),
        }),
        { maxLength: 8 },
      ),
      (steps) => {
        const { descriptor } = scene();
        const reported: number[] = [];
        const said = new LogOutput(descriptor.write, (lines) => {
          reported.push(lines);
          return 'dropped\n';
        });
        let count = 0;
        for (const { lines, room, errno } of steps) {
          descriptor.room = room;
          descriptor.errno = errno;
          for (const size of lines) said.write(`${count++} ${'é'.repeat(size)}\n`);
          jest.advanceTimersByTime(250);
        }
        descriptor.room = Infinity;
        jest.advanceTimersByTime(250);
        const out = descriptor.lines.filter((line) => line !== 'dropped').map((line) => parseInt(line, 10));
        expect(out).toEqual([...out].sort((a, b) => a - b));
        expect(out.length + said.dropped).toBe(count);
        expect(reported.reduce((sum, lines) => sum + lines, 0)).toBe(said.dropped);
      },
    ),
    { numRuns: 60 },
  );
});

describe('flush', () => {
  test('waits for a reader that comes back', () => {
    jest.useRealTimers();
    const { descriptor } = scene();
    let tries = 0;
    const slow = new LogOutput(
      (bytes) => (++tries < 5 ? -EAGAIN : descriptor.write(bytes)),
      () => '',
    );
    slow.write('last words\n');
    slow.flush(5000);
    expect(descriptor.text).toBe('last words\n');
  });

  test('gives a stalled reader up in time, and a broken one at once', () => {
    jest.useRealTimers();
    const { descriptor, output } = scene();
    descriptor.room = 0;
    output.write('last words\n');
    const start = performance.now();
    output.flush(100);
    const took = performance.now() - start;
    expect(took).toBeGreaterThanOrEqual(95);
    expect(took).toBeLessThan(5000);
    descriptor.errno = EPIPE;
    const tried = descriptor.tried.length;
    output.flush(60_000);
    expect(descriptor.tried).toHaveLength(tried + 1);
  });
});

describe('collecting', () => {
  const collecting = (descriptor: Descriptor, pieceBytes?: number): LogOutput =>
    new LogOutput(descriptor.write, (lines, cause) => `dropped ${lines}: ${cause}\n`, {
      collectMs: 10,
      ...(pieceBytes !== undefined && { pieceBytes }),
    });

  test('lines share writes, and none waits for longer than 10 ms', () => {
    const { descriptor } = scene();
    const output = collecting(descriptor, 64 * 1024);
    const lines = Array.from({ length: 1000 }, (_, index) => `line ${index} ${'x'.repeat(90)}\n`);
    for (const line of lines.slice(0, 500)) output.write(line);
    expect(descriptor.tried).toEqual([]);
    // 64 KiB are enough.
    for (const line of lines.slice(500)) output.write(line);
    expect(descriptor.text.length).toBeGreaterThanOrEqual(64 * 1024);
    jest.advanceTimersByTime(10);
    expect(descriptor.text).toBe(lines.join(''));
    expect(descriptor.tried.length).toBeLessThanOrEqual(3);
    output.write('later\n');
    jest.advanceTimersByTime(10);
    expect(descriptor.lines.at(-1)).toBe('later');
  });

  test('who knows that there is room need not wait for the next try', () => {
    const { descriptor } = scene();
    const output = collecting(descriptor);
    output.resume();
    descriptor.room = 0;
    output.write('one\n');
    jest.advanceTimersByTime(10);
    expect(descriptor.tried).toHaveLength(1);
    descriptor.room = Infinity;
    output.resume();
    expect(descriptor.text).toBe('one\n');
    jest.advanceTimersByTime(1000);
    expect(descriptor.tried).toHaveLength(2);
  });
});

describe('beside another output', () => {
  const besideOf = (output: LogOutput): LogOutput =>
    new LogOutput(output.yieldTo, (lines, cause) => `beside ${lines}: ${cause}\n`, { collectMs: 10 });

  test('lines go out while none of the other waits', () => {
    const { descriptor, output } = scene();
    const beside = besideOf(output);
    beside.write('a\n');
    jest.advanceTimersByTime(10);
    expect(descriptor.text).toBe('a\n');
    descriptor.room = 2;
    output.write('long line\n');
    beside.write('b\n');
    output.write('more\n');
    jest.advanceTimersByTime(100);
    expect(descriptor.text).toBe('a\nlo');
    descriptor.room = Infinity;
    jest.advanceTimersByTime(40);
    expect(descriptor.lines).toEqual(['a', 'long line', 'more', 'b']);
  });

  test('a line of which a part is out is ended before anything else', () => {
    const { descriptor, output } = scene();
    const beside = besideOf(output);
    descriptor.room = 3;
    beside.write('beside\n');
    beside.write('again\n');
    jest.advanceTimersByTime(10);
    expect(descriptor.text).toBe('bes');
    output.write('log\n');
    descriptor.room = Infinity;
    jest.advanceTimersByTime(40);
    expect(descriptor.lines).toEqual(['beside', 'again', 'log']);
  });

  test('what the one drops costs the other nothing', () => {
    const { descriptor, output } = scene();
    const beside = besideOf(output);
    descriptor.room = 0;
    output.write('log\n');
    const line = `${'x'.repeat(1023)}\n`;
    for (let count = 0; count < 3000; count++) beside.write(line);
    // Those of the first piece have begun to go out.
    const kept = 1024 + 4096 / 1024;
    expect([output.dropped, beside.dropped]).toEqual([0, 3000 - kept]);
    descriptor.room = Infinity;
    jest.advanceTimersByTime(100);
    expect(descriptor.lines.filter((text) => !text.startsWith('x'))).toEqual([
      'log',
      `beside ${3000 - kept}: the reader does not keep up`,
    ]);
    expect(descriptor.lines).toHaveLength(2 + kept);
  });
});

describe('close', () => {
  beforeEach(() => jest.useRealTimers());

  test('waits for a reader that comes back', async () => {
    const { descriptor, output } = scene();
    descriptor.room = 0;
    output.write('last words\n');
    setTimeout(() => (descriptor.room = Infinity), 20);
    await output.close(5000);
    expect([descriptor.text, output.dropped]).toEqual(['last words\n', 0]);
  });

  test('counts what nobody takes in time', async () => {
    const { descriptor, output } = scene();
    descriptor.room = 0;
    for (const line of ['one\n', 'two\n', 'three\n']) output.write(line);
    await output.close(10);
    expect(output.dropped).toBe(3);
    const { length } = descriptor.tried;
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(descriptor.tried).toHaveLength(length);
  });
});

describe('a lane', () => {
  test('passes lines on, and drops and counts what the main thread does not fetch', () => {
    const { descriptor, output } = scene();
    const counters = laneCounters();
    const sent: string[] = [];
    const lane = new LogLane(counters, (line) => sent.push(line));
    const line = `${'x'.repeat(1023)}\n`;
    for (let count = 0; count < 300; count++) lane.write(line);
    expect(sent).toHaveLength(256);
    for (const each of sent.splice(0)) takeFromLane(counters, each, output);
    expect(output.dropped).toBe(44);
    expect(descriptor.lines[0]).toBe('dropped 44: the main thread was busy');
    expect(descriptor.lines).toHaveLength(1 + 256);
    // All is as in the beginning.
    for (let count = 0; count < 256; count++) lane.write(line);
    expect(sent).toHaveLength(256);
    expect(output.dropped).toBe(44);
  });
});
