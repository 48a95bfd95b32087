import { isDeepStrictEqual } from 'node:util';
import { isIP } from 'node:net';
import { makeFlow } from '../../src/kernel/flow';
import { FrameDecoder } from '../../src/wire/decoder';
import * as frames from '../../src/wire/frames';
import { decodeAgentHello, decodeFrontHello, encodeAgentHello, encodeFrontHello } from '../../src/wire/hello';
import { KEEP_REASONS, RETURN_REASONS, wishLength, writeWish, type Wish } from '../../src/wire/hand-back';
import { encodeNames, writeDetails } from '../../src/wire/handoff-details';
import {
  readCommit,
  readFlows,
  readHandBack,
  readId,
  readMove,
  readOctets,
  readReason,
} from '../../src/wire/records';
import { readReport, writeReport } from '../../src/wire/report';
import { makeSnapshot } from '../repair/snapshots';
import { frame, idPayload } from '../wire/raw-peer';
import { fuzz } from './fuzz';
import type { Random } from './mutator';

const FRONT_HELLO = encodeFrontHello({ role: 'offers', node: 'front-1' });
const CURIOUS_HELLO = encodeAgentHello({ node: 'b1', vips: ['198.19.0.1'], offers: 7, details: true });
const AGENT_HELLO = encodeAgentHello({ node: 'b1', vips: ['198.19.0.1', '2001:2:0:ff::1'], offers: 4096 });
const RECORD = Buffer.concat([makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80), idPayload(1, 2)]);
const RECORD6 = Buffer.concat([makeFlow('2001:2::1', 40_000, '2001:2:0:ff::1', 80), idPayload(3, 4)]);
const REPORT = Buffer.alloc(frames.REPORT_BYTES);
writeReport(
  { connections: 7, commits: 9, responses: 100, serverErrors: 3, totalMs: 12.5, draining: true },
  REPORT,
  0,
);
const DETAILS = [encodeNames('a', 'b'), encodeNames('r'.repeat(72), 'p'.repeat(64))].map((names) => {
  const details = Buffer.alloc(4 + names.length);
  writeDetails(1.5, names, details, 0);
  return details;
});

const WISHES = [
  { reason: 'route', pool: 'web', backend: '' },
  { reason: 'detach', pool: '', backend: 'b'.repeat(64) },
].map((wish) => {
  const bytes = Buffer.alloc(wishLength(wish as Wish));
  writeWish(wish as Wish, bytes, 0);
  return bytes;
});

/** Frames of every type, and of every length that one may have. */
const FRAMES = [
  frame(frames.HELLO, FRONT_HELLO),
  frame(frames.HELLO, AGENT_HELLO),
  frame(frames.OFFER, Buffer.concat([idPayload(1, 2), makeSnapshot()])),
  frame(frames.PREPARED, idPayload(1, 2)),
  // Without its reason, with each side's own, and with one that only later agents know.
  frame(frames.REJECTED, idPayload(1, 2)),
  frame(frames.REJECTED, idPayload(1, 2, 4)),
  frame(frames.REJECTED, idPayload(1, 2, 200)),
  frame(frames.COMMIT, idPayload(0xffffffff, 0xffffffff)),
  ...DETAILS.map((details) => frame(frames.COMMIT, Buffer.concat([idPayload(1, 2), details]))),
  frame(frames.ABORT, idPayload(0, 0)),
  frame(frames.CLOSED),
  frame(frames.CLOSED, RECORD),
  frame(frames.VOID, Buffer.concat([RECORD, RECORD6])),
  frame(frames.FLOWS, Buffer.from([1])),
  frame(frames.FLOWS, Buffer.concat([Buffer.from([0]), RECORD, RECORD6])),
  frame(frames.PING),
  frame(frames.PONG, 'abcd'),
  frame(frames.LIST),
  frame(frames.REPORT, REPORT),
  ...[frames.HANDBACK, frames.RESERVE].flatMap((type) =>
    WISHES.map((wish) => frame(type, Buffer.concat([idPayload(1, 2), wish, makeSnapshot()]))),
  ),
  ...[frames.LEAVE, frames.APPEND].flatMap((type) => [
    frame(type, idPayload(1, 2)),
    frame(type, Buffer.concat([idPayload(1, 2), Buffer.from('GET / HTTP/1.1')])),
  ]),
  ...WISHES.map((wish) => frame(frames.MOVE, Buffer.concat([RECORD, wish]))),
  ...[frames.SETTLED, frames.WITHDRAWN, frames.TAKEN, frames.RESERVED].map((type) =>
    frame(type, idPayload(1, 2)),
  ),
  ...[frames.RETURNED, frames.KEPT].flatMap((type) => [
    frame(type, idPayload(1, 2, 1)),
    frame(type, idPayload(1, 2, 99)),
  ]),
  frame(frames.ROUTES, '{}'),
  frame(frames.BYE, 'front is stopping'),
];
const TYPES = Array.from({ length: 28 }, (_, type) => type);

/** A frame's beginning that announces this much. */
function header(type: number, length: number): Buffer {
  const bytes = frame(type);
  bytes.writeUInt32BE(length, 0);
  return bytes;
}

const CORPUS = [
  ...FRAMES,
  Buffer.concat(FRAMES),
  Buffer.concat([...FRAMES].reverse()),
  Buffer.concat([FRAMES[0] as Buffer, ...Array.from({ length: 50 }, () => FRAMES[3] as Buffer)]),
  frame(frames.FLOWS, Buffer.concat([Buffer.from([1]), ...Array.from({ length: 200 }, () => RECORD)])),
  // What comes to the port by mistake.
  Buffer.from('GET / HTTP/1.1\r\nHost: lab\r\n\r\n'),
  Buffer.from('\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03', 'latin1'),
];
const WORDS = [
  ...FRAMES,
  ...TYPES.flatMap((type) => [-1, 0, 1].map((more) => header(type, longest(type) + more))),
];

function longest(type: number): number {
  return Math.max(1, frames.longestPayload(type));
}

/** What one frame says to who reads it, or why it says nothing. */
type Meaning = readonly [type: number, payload: string, said: unknown];

interface Reading {
  readonly read: readonly Meaning[];
  readonly refusal: string | undefined;
}

/** As both ends read it, from where it lies. */
function sayingOf(type: number, bytes: Buffer, offset: number, length: number): unknown {
  switch (type) {
    case frames.COMMIT:
      return checkedCommit(bytes, offset, length);
    case frames.PREPARED:
    case frames.ABORT:
    case frames.OFFER:
    case frames.SETTLED:
    case frames.WITHDRAWN:
    case frames.TAKEN:
    case frames.RESERVED:
      return readId(bytes, offset, length);
    case frames.REJECTED:
      return [readId(bytes, offset, length), readReason(bytes, offset, length, frames.REJECT_REASONS)];
    case frames.RETURNED:
      return [readId(bytes, offset, length), readReason(bytes, offset, length, RETURN_REASONS)];
    case frames.KEPT:
      return [readId(bytes, offset, length), readReason(bytes, offset, length, KEEP_REASONS)];
    case frames.LEAVE:
    case frames.APPEND: {
      const { id, octets } = readOctets(bytes, offset, length);
      return [id, Buffer.from(octets)];
    }
    case frames.HANDBACK:
    case frames.RESERVE:
      return checkedHandBack(bytes, offset, length);
    case frames.MOVE:
      return readMove(bytes, offset, length);
    case frames.CLOSED:
    case frames.VOID:
      return readFlows(bytes, offset, length);
    case frames.REPORT:
      return readReport(bytes, offset, length);
    case frames.FLOWS:
      return [readFlows(bytes, offset + 1, length - 1), bytes[offset] === 1];
    default:
      return undefined;
  }
}

/** The snapshot begins within the frame, behind what was read. */
function checkedHandBack(bytes: Buffer, offset: number, length: number): unknown {
  const { id, wish, snapshotAt } = readHandBack(bytes, offset, length);
  expect(snapshotAt - offset).toBe(11 + wish.pool.length + wish.backend.length);
  expect(snapshotAt).toBeLessThanOrEqual(offset + length);
  return { id, wish };
}

/** Names are bounded, and fit for a log as they are. */
function checkedCommit(bytes: Buffer, offset: number, length: number): unknown {
  const { id, details } = readCommit(bytes, offset, length);
  if (details === undefined) expect(length).toBe(8);
  else {
    expect(details.route).toMatch(/^[\w.#-]{1,72}$/);
    expect(details.pool).toMatch(/^[\w.-]{1,64}$/);
    expect(length).toBe(8 + 5 + details.route.length + details.pool.length);
  }
  return [id, details];
}

/** Only a ProtocolError may come of it. */
function orRefusal<T>(read: () => T): T | string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof frames.ProtocolError)) throw error;
    if (!/^[\x20-\x7e]{1,200}$/.test(error.message)) throw new Error(`refused with ${error.message}`);
    return error.message;
  }
}

/** Memory that was asked for since the last look, in bytes and pieces. A spy of jest's would keep it all. */
const allocate = Buffer.allocUnsafe.bind(Buffer);
let asked = { largest: 0, pieces: 0 };

beforeAll(() => {
  Buffer.allocUnsafe = (size) => {
    asked = { largest: Math.max(asked.largest, size), pieces: asked.pieces + 1 };
    return allocate(size);
  };
});

afterAll(() => {
  Buffer.allocUnsafe = allocate;
});

function memoryOf(work: () => void): typeof asked {
  asked = { largest: 0, pieces: 0 };
  work();
  return asked;
}

/** What comes of the pieces. Each lies in memory of its own with other bytes around it, which are no part of it. */
function readPieces(pieces: readonly Buffer[], decoder = new FrameDecoder()): Reading {
  const read: Meaning[] = [];
  const refusal = orRefusal(() => {
    for (const piece of pieces) {
      const memory = Buffer.alloc(piece.length + 32, 0x05);
      piece.copy(memory, 16);
      decoder.push(memory.subarray(16, 16 + piece.length), (type, bytes, offset, length) => {
        const payload = bytes.toString('latin1', offset, offset + length);
        read.push([type, payload, orRefusal(() => sayingOf(type, bytes, offset, length))]);
      });
      // Whoever kept a reference to it would read something else now.
      memory.fill(0xee);
    }
    return undefined;
  });
  return { read, refusal };
}

/** The frames of a stream once more, without a push parser: types and payloads, and the type that ended it. */
function slowFrames(stream: Buffer): { readonly read: [number, string][]; readonly bad: boolean } {
  const read: [number, string][] = [];
  for (let at = 0; at + 5 <= stream.length;) {
    const length = stream.readUInt32BE(at);
    const type = stream.readUInt8(at + 4);
    if (type < 1 || type > 26 || length > frames.longestPayload(type)) return { read, bad: true };
    if (at + 5 + length > stream.length) break;
    read.push([type, stream.toString('latin1', at + 5, at + 5 + length)]);
    at += 5 + length;
  }
  return { read, bad: false };
}

function cut(stream: Buffer, random: Random): Buffer[] {
  if (stream.length < 500 && random.oneIn(4)) return Array.from(stream, (octet) => Buffer.from([octet]));
  const places = Array.from({ length: 1 + random.below(8) }, () => random.below(stream.length + 1));
  const ends = [...places.sort((a, b) => a - b), stream.length];
  return ends.map((end, index) => stream.subarray(ends[index - 1] ?? 0, end));
}

function expectSame(actual: unknown, expected: unknown): void {
  // The matcher, which explains, takes a hundred times as long as the comparison.
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toEqual(expected);
}

test('a stream gives the same frames at every split, or the same refusal, and bounded memory', async () => {
  const counts = { frames: 0, refused: 0, unsaid: 0, incomplete: 0 };
  /** Bytes that a front may make an agent hold before it has said hello. */
  const beforeHello = (type: number): number => Math.min(frames.longestPayload(type), frames.MAX_TEXT_BYTES);
  const tried = await fuzz('frames', {
    corpus: CORPUS,
    dictionary: WORDS,
    check: (stream, random) => {
      const slow = slowFrames(stream);
      const whole = readPieces([stream]);
      expectSame(
        whole.read.map(([type, payload]) => [type, payload]),
        slow.read,
      );
      expect(whole.refusal !== undefined).toBe(slow.bad);
      const pieces = cut(stream, random);
      const { largest } = memoryOf(() => expectSame(readPieces(pieces), whole));
      if (largest > 5 + frames.longestPayload(frames.HANDBACK))
        throw new Error(`took ${largest} bytes at once`);
      const first = memoryOf(() => readPieces(pieces, new FrameDecoder(beforeHello)));
      if (first.largest > 5 + frames.MAX_TEXT_BYTES) throw new Error(`took ${first.largest} before a hello`);

      counts.frames += whole.read.length;
      counts.unsaid += whole.read.filter(([, , said]) => typeof said === 'string').length;
      counts.refused += slow.bad ? 1 : 0;
      const taken = slow.read.reduce((sum, [, payload]) => sum + 5 + payload.length, 0);
      counts.incomplete += !slow.bad && taken < stream.length ? 1 : 0;
    },
  });
  process.stdout.write(
    `  frames: ${counts.frames} read alike at every split, ${counts.unsaid} of them refused by their payload; ` +
      `${counts.refused} streams refused, ${counts.incomplete} incomplete\n`,
  );
  expect(tried).toBeGreaterThan(1000);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(tried / 200);
}, 300_000);

test.each(TYPES.filter((type) => frames.longestPayload(type) > 0))(
  'a frame of type %i that never ends takes the memory of one frame',
  (type) => {
    const decoder = new FrameDecoder();
    const length = frames.longestPayload(type);
    const begin = header(type, length);
    const piece = Buffer.alloc(1024);
    const memory = memoryOf(() => {
      decoder.push(begin, () => undefined);
      for (let sent = piece.length; sent < Math.min(length, 200_000); sent += piece.length)
        decoder.push(piece, () => undefined);
    });
    expect(memory).toEqual({ largest: 5 + length, pieces: 1 });
  },
);

/** Most changes of a longer remark leave the rest as it is. */
const REMARK = 'A later version may say more. '.repeat(10);
const HELLOS = [
  `{"baton":[1],"node":"f1","remark":"${REMARK}","role":"offers"}`,
  `{"vips":["198.19.0.1"],"remark":"${REMARK}","offers":7,"node":"b1","baton":[1]}`,
  FRONT_HELLO,
  encodeFrontHello({ role: 'keeper', node: 'a' }),
  AGENT_HELLO,
  CURIOUS_HELLO,
  encodeAgentHello({ node: 'x'.repeat(64), vips: [], offers: 1 }),
  '{"baton":[3,2,1],"role":"keeper","node":"f1","colour":"blue","more":{"deep":[[[1]]]}}',
  `{"baton":[1],"node":"b1","vips":[${Array.from({ length: 200 }, () => '"::1"').join()}],"offers":65536}`,
  '{"__proto__":{"baton":[1],"role":"offers","node":"f1","vips":[],"offers":1}}',
  '['.repeat(60_000),
  '{"baton":[1],"a":'.repeat(3000),
  `{"baton":[1],"role":"offers","node":"f1","a":${'9'.repeat(5000)}}`,
].map((text) => Buffer.from(text));
const HELLO_WORDS = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', '\0', '\xff', '\xf0\x9f', '\n', ' '],
  ...['null', 'true', '1', '0', '-1', '1e400', '65537', '0.5', '9007199254740993', '{}', '[]', '""'],
  ...['"baton":[1]', '"baton":1', '"role":"offers"', '"role":"keeper"', '"node":"f1"', '"node":["f1"]'],
  ...[
    '"vips":["198.19.0.1"]',
    '"vips":{"length":1}',
    '"fe80::1%eth0"',
    '"1.2.3"',
    '"offers":1',
    '"offers":"1"',
    '"details":true',
    '"details":1',
  ],
  ...['"__proto__":', '"constructor":', '"toString":', '"length":'],
];

test('a hello is what its own keys say, or a ProtocolError', async () => {
  const counts = { front: 0, agent: 0, refused: 0 };
  await fuzz('hellos', {
    corpus: HELLOS,
    dictionary: HELLO_WORDS,
    check: (input) => {
      const text = input.toString('utf8');
      const front = orRefusal(() => decodeFrontHello(text));
      const agent = orRefusal(() => decodeAgentHello(text));
      if (typeof front === 'string' && typeof agent === 'string') counts.refused += 1;
      if (typeof front !== 'string') {
        counts.front += 1;
        expectSame(front, ownOf(text, ['role', 'node']));
        expect(['offers', 'keeper']).toContain(front.role);
        expect(front.node).toMatch(/^[\w.-]{1,64}$/);
        expectSame(decodeFrontHello(encodeFrontHello(front)), front);
      }
      if (typeof agent !== 'string') {
        counts.agent += 1;
        expectSame(agent, ownOf(text, ['node', 'vips', 'offers', 'details']));
        expect(agent.node).toMatch(/^[\w.-]{1,64}$/);
        expect(agent.offers).toBeGreaterThan(0);
        expect(agent.offers).toBeLessThanOrEqual(65_536);
        expect(agent.vips.length).toBeLessThanOrEqual(1024);
        expect(agent.vips.filter((vip) => isIP(vip) === 0)).toEqual([]);
        expectSame(decodeAgentHello(encodeAgentHello(agent)), agent);
      }
    },
  });
  process.stdout.write(
    `  hellos: ${counts.front} of fronts, ${counts.agent} of agents, ${counts.refused} refused\n`,
  );
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(100);
}, 300_000);

/** Keys that a JSON text has itself: nothing may come from a prototype. */
function ownOf(text: string, keys: readonly string[]): unknown {
  const entries = new Map(Object.entries(JSON.parse(text) as object));
  expect((entries.get('baton') as unknown[]).includes(1)).toBe(true);
  return Object.fromEntries(keys.filter((key) => entries.has(key)).map((key) => [key, entries.get(key)]));
}
