import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { FrameDecoder } from '../../src/wire/decoder';
import * as frames from '../../src/wire/frames';
import { frame, type ReadFrame } from './raw-peer';

const TYPES = [
  frames.HELLO,
  frames.OFFER,
  frames.PREPARED,
  frames.REJECTED,
  frames.COMMIT,
  frames.ABORT,
  frames.CLOSED,
  frames.FLOWS,
  frames.PING,
  frames.PONG,
  frames.BYE,
  frames.HANDBACK,
  frames.LEAVE,
  frames.APPEND,
];

/** Pushes the pieces and returns copies of the frames, since the bytes are valid during the call only. */
function decode(pieces: readonly Buffer[], decoder = new FrameDecoder()): ReadFrame[] {
  const read: ReadFrame[] = [];
  for (const piece of pieces) {
    decoder.push(piece, (type, bytes, offset, length) => {
      read.push({ type, payload: Buffer.from(bytes.subarray(offset, offset + length)) });
    });
    // The piece is the stream's: whoever kept a reference to it would read something else now.
    piece.fill(0xee);
  }
  return read;
}

function cut(stream: Buffer, ...places: number[]): Buffer[] {
  const ends = [...places.toSorted((a, b) => a - b), stream.length];
  return ends.map((end, i) => Buffer.from(stream.subarray(ends[i - 1] ?? 0, end)));
}

const WANTED: ReadFrame[] = [
  { type: frames.PING, payload: Buffer.alloc(0) },
  { type: frames.OFFER, payload: Buffer.from('an offer of some length') },
  { type: frames.PREPARED, payload: Buffer.alloc(8, 7) },
  { type: frames.FLOWS, payload: Buffer.from([1]) },
  { type: frames.PONG, payload: Buffer.alloc(0) },
  { type: frames.BYE, payload: Buffer.from('bye') },
  { type: frames.CLOSED, payload: Buffer.alloc(0) },
];
const STREAM = Buffer.concat(WANTED.map(({ type, payload }) => frame(type, payload)));

test('frames come out whole, in order, from one piece', () => {
  expect(decode([Buffer.from(STREAM)])).toEqual(WANTED);
});

test('byte by byte', () => {
  expect(decode(Array.from(STREAM, (octet) => Buffer.from([octet])))).toEqual(WANTED);
});

test('cut in three, at every two places', () => {
  let splits = 0;
  for (let first = 0; first <= STREAM.length; first++) {
    for (let second = first; second <= STREAM.length; second++, splits++) {
      // The matcher, which explains, takes a hundred times as long as the comparison.
      const read = decode(cut(STREAM, first, second));
      if (!isDeepStrictEqual(read, WANTED))
        expect({ first, second, read }).toEqual({ first, second, read: WANTED });
    }
  }
  process.stdout.write(`decoder: ${STREAM.length} bytes, ${splits} ways to cut\n`);
});

test('generated frames in generated pieces', () => {
  const longest = (type: number): number => Math.min(frames.longestPayload(type), 300);
  const anyFrame = fc
    .constantFrom(...TYPES)
    .chain((type) =>
      fc.record({ type: fc.constant(type), payload: fc.uint8Array({ maxLength: longest(type) }) }),
    )
    .map(({ type, payload }) => ({ type, payload: Buffer.from(payload) }));
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 20 }),
      fc.array(fc.nat(), { maxLength: 20 }),
      (made, places) => {
        const stream = Buffer.concat(made.map(({ type, payload }) => frame(type, payload)));
        expect(decode(cut(stream, ...places.map((place) => place % (stream.length + 1))))).toEqual(made);
      },
    ),
    { numRuns: 1000 },
  );
});

test('random bytes give frames or a ProtocolError, and nothing else', () => {
  let refused = 0;
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 5, maxLength: 200 }), fc.nat(200), (random, place) => {
      try {
        decode(cut(Buffer.from(random), Math.min(place, random.length)));
      } catch (error) {
        expect(error).toBeInstanceOf(frames.ProtocolError);
        refused += 1;
      }
    }),
    { numRuns: 2000 },
  );
  process.stdout.write(`decoder: ${refused} of 2000 random streams refused\n`);
  expect(refused).toBeGreaterThan(500);
});

test.each([0, 27, 127, 255])('type %i is unknown', (type) => {
  expect(() => decode([frame(type, 'x')])).toThrow(new frames.ProtocolError(`unknown frame type ${type}`));
});

test.each(TYPES)('a frame of type %i is refused by its header when it is a byte too long', (type) => {
  const header = frame(type);
  header.writeUInt32BE(frames.longestPayload(type), 0);
  expect(decode([Buffer.from(header)])).toEqual([]);
  header.writeUInt32BE(frames.longestPayload(type) + 1, 0);
  expect(() => decode([Buffer.from(header)])).toThrow(frames.ProtocolError);
  // Also when it does not come in one piece.
  expect(() => decode(cut(header, 3))).toThrow(frames.ProtocolError);
});

test('the frames of one piece that come before a bad one are delivered', () => {
  const read: number[] = [];
  const stream = Buffer.concat([frame(frames.PING), frame(frames.PONG), frame(99)]);
  expect(() => new FrameDecoder().push(stream, (type) => read.push(type))).toThrow(frames.ProtocolError);
  expect(read).toEqual([frames.PING, frames.PONG]);
});

test('memory follows the frame that is announced, not the stream', () => {
  const decoder = new FrameDecoder();
  const payload = Buffer.alloc(1_000_000, 5);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 300; i++) {
    const [first = Buffer.alloc(0), ...rest] = cut(frame(frames.OFFER, payload), 500_000);
    decode([first], decoder);
    expect(decode(rest, decoder)).toHaveLength(1);
  }
  // 300 MB went through; what a collector has not yet taken away is a part of it.
  const grown = process.memoryUsage().arrayBuffers - before;
  process.stdout.write(`decoder: 300 MB in halves of frames, ${(grown / 1e6).toFixed(0)} MB more in use\n`);
  expect(grown).toBeLessThan(150_000_000);
});

test('the longest frames hold what they are for', () => {
  expect(frames.longestPayload(frames.OFFER)).toBe(8 + 92 + 3 * 8 * 1024 * 1024 + 64 * 1024);
  expect(frames.longestPayload(frames.CLOSED)).toBe(1024 * 44);
  expect(frames.longestPayload(frames.FLOWS)).toBe(1024 * 44 + 1);
});
