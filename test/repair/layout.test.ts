import fc from 'fast-check';
import { makeFlow } from '../../src/kernel/flow';
import { RepairError } from '../../src/repair/errors';
import * as layout from '../../src/repair/layout';
import { roomToProbe } from '../../src/repair/restore';
import { makeSnapshot } from './snapshots';

const check = (bytes: Buffer): void => layout.checkSnapshot(bytes, 0, bytes.length);

function refusalOf(bytes: Buffer): unknown {
  try {
    check(bytes);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** A good snapshot with one thing changed. */
function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = makeSnapshot();
  change(bytes);
  return bytes;
}

const ofClient = (client: string): Buffer =>
  makeSnapshot({ flow: makeFlow(client, 40_000, client.includes(':') ? '2001:2::1' : '198.19.0.1', 80) });

/** With a window of 65,535 of ours. */
const sequences = (expected: number, clientsUpdate: number, ourUpdate: number): Buffer =>
  changed((bytes) => {
    bytes.writeUInt32BE(expected, layout.RECEIVE_SEQUENCE);
    bytes.writeUInt32BE(clientsUpdate, layout.WINDOW);
    bytes.writeUInt32BE(ourUpdate, layout.WINDOW + 16);
  });

describe('a snapshot is accepted', () => {
  test.each<[string, Buffer]>([
    ['with everything', makeSnapshot()],
    ['with empty queues', makeSnapshot({ queues: [0, 0, 0] })],
    ['without any option', makeSnapshot({ options: 0, scales: [0, 0] })],
    ['with the largest window scales', makeSnapshot({ scales: [14, 14] })],
    ['with the smallest MSS', makeSnapshot({ mss: 88 })],
    ['with the largest MSS', makeSnapshot({ mss: 65535 })],
    ['with one request', makeSnapshot({ flags: layout.ONE_REQUEST })],
    ['whose first request is routed', makeSnapshot({ flags: layout.PER_REQUEST | layout.ROUTED })],
    ['without a head', makeSnapshot({ flags: layout.RAW })],
    ['with all the state that an application may leave', makeSnapshot({ state: layout.MAX_STATE_BYTES })],
    ['over IPv6', makeSnapshot({ flow: makeFlow('2001:2::1', 1, '2001:2:0:ff::1', 65535) })],
    ['with its queues at their limit', makeSnapshot({ queues: [layout.MAX_QUEUE_BYTES, 0, 0] })],
    ['with sequence numbers that wrap around', sequences(0xffffffff, 0xffffffff, 0xffffffff)],
    ['whose last updates are of long ago', sequences(0x10, 0x90000000, 0xf0000000)],
    ["whose client's window was updated as far ahead as our window goes", sequences(100, 65_635, 100)],
    ['whose windows are closed', makeSnapshot({ windows: [0, 0, 0] })],
    [
      "with the client's largest window",
      makeSnapshot({ scales: [14, 14], windows: [2 ** 30 - 2 ** 14, 2 ** 30 - 2 ** 14, 1] }),
    ],
    // The kernel counts more than the field says: it may have buffer for more than it can announce.
    [
      'with a window of ours beyond its scale',
      makeSnapshot({ options: 3, scales: [0, 0], windows: [0, 0, 4_000_000] }),
    ],
  ])('%s', (_, bytes) => {
    expect(() => check(bytes)).not.toThrow();
    // Anywhere in a larger buffer too: that is how it arrives.
    const shifted = Buffer.concat([Buffer.alloc(13, 0xee), bytes, Buffer.alloc(13, 0xee)]);
    expect(() => layout.checkSnapshot(shifted, 13, bytes.length)).not.toThrow();
  });
});

describe('a snapshot is refused', () => {
  test.each<[string, Buffer]>([
    ['0 bytes, shorter than its header', Buffer.alloc(0)],
    ['87 bytes, shorter than its header', makeSnapshot().subarray(0, 87)],
    ['version 0 is not known', changed((bytes) => (bytes[layout.VERSION] = 0))],
    ['version 1 is not known', changed((bytes) => (bytes[layout.VERSION] = 1))],
    ['version 2 is not known', changed((bytes) => (bytes[layout.VERSION] = 2))],
    ['version 4 is not known', changed((bytes) => (bytes[layout.VERSION] = 4))],
    ['unknown options 8', makeSnapshot({ options: 8, scales: [0, 0] })],
    ['unknown options 255', makeSnapshot({ options: 255 })],
    ['window scale 15/0 was not negotiated', makeSnapshot({ scales: [15, 0] })],
    ['window scale 0/15 was not negotiated', makeSnapshot({ scales: [0, 15] })],
    ['window scale 1/0 was not negotiated', makeSnapshot({ options: 3, scales: [1, 0] })],
    ['window scale 0/1 was not negotiated', makeSnapshot({ options: 3, scales: [0, 1] })],
    ['MSS 0 is too small', makeSnapshot({ mss: 0 })],
    ['MSS 87 is too small', makeSnapshot({ mss: 87 })],
    ...[3, 4, 5, 7, 9, 10, 12, 16].map((flags): [string, Buffer] => [
      `unknown flags ${flags}`,
      makeSnapshot({ flags }),
    ]),
    ['unknown flags 255', makeSnapshot({ flags: 255 })],
    ['padding is not 0', changed((bytes) => (bytes[layout.FLAGS + 1] = 1))],
    ['a queue is longer than 8388608 bytes', makeSnapshot({ queues: [layout.MAX_QUEUE_BYTES + 1, 0, 0] })],
    ['a queue is longer than 8388608 bytes', changed((bytes) => bytes.fill(0xff, layout.SENT_LENGTH, 84))],
    ['a queue is longer than 8388608 bytes', changed((bytes) => bytes.fill(0xff, layout.UNSENT_LENGTH, 88))],
    [
      "the application's state is longer than 65536 bytes",
      makeSnapshot({ state: layout.MAX_STATE_BYTES + 1 }),
    ],
    ['lengths do not add up', changed((bytes) => bytes.writeUInt32BE(11, layout.RECEIVE_LENGTH))],
    ['lengths do not add up', changed((bytes) => bytes.writeUInt32BE(19, layout.SENT_LENGTH))],
    ['lengths do not add up', makeSnapshot().subarray(0, -1)],
    ['lengths do not add up', Buffer.concat([makeSnapshot(), Buffer.alloc(1)])],
    ['addresses of different families', makeSnapshot({ flow: makeFlow('198.18.1.1', 1, '2001:2::1', 1) })],
    ['addresses of different families', makeSnapshot({ flow: makeFlow('2001:2::1', 1, '198.18.1.1', 1) })],
    ['port 0', makeSnapshot({ flow: makeFlow('198.18.1.1', 0, '198.19.0.1', 80) })],
    ['port 0', makeSnapshot({ flow: makeFlow('198.18.1.1', 40000, '198.19.0.1', 0) })],
    ['unspecified address', ofClient('0.0.0.0')],
    ['unspecified address', ofClient('0.1.2.3')],
    ['unspecified address', ofClient('::')],
    ['broadcast address', ofClient('255.255.255.255')],
    ['multicast address', ofClient('224.0.0.1')],
    ['multicast address', ofClient('239.255.255.255')],
    ['multicast address', ofClient('ff02::1')],
    ['link-local address', ofClient('fe80::1')],
    ['link-local address', ofClient('febf::1')],
    ['multicast address', makeSnapshot({ flow: makeFlow('198.18.1.1', 40000, '224.0.0.1', 80) })],
    ['loopback on one side alone', ofClient('127.0.0.1')],
    ['loopback on one side alone', ofClient('127.255.255.254')],
    ['loopback on one side alone', ofClient('::1')],
    ['loopback on one side alone', makeSnapshot({ flow: makeFlow('198.18.1.1', 40000, '127.0.0.1', 80) })],
    ['a connection with itself', makeSnapshot({ flow: makeFlow('198.19.0.1', 80, '198.19.0.1', 80) })],
    ['a connection with itself', makeSnapshot({ flow: makeFlow('::1', 80, '::1', 80) })],
    [
      "the client's window 65535 is larger than its largest, 65534",
      makeSnapshot({ windows: [65_535, 65_534, 0] }),
    ],
    [
      'the client cannot announce a window of 65536',
      makeSnapshot({ options: 3, scales: [0, 0], windows: [0, 65_536, 0] }),
    ],
    [
      'the client cannot announce a window of 8388481',
      makeSnapshot({ scales: [7, 0], windows: [0, 65_535 * 128 + 1, 0] }),
    ],
    ['our window 1073725441 is larger than any', makeSnapshot({ windows: [0, 0, 65_535 * 2 ** 14 + 1] })],
    ['our window 4294967295 is larger than any', makeSnapshot({ windows: [0, 0, 0xffffffff] })],
    ['our last window update lies ahead of what was received', sequences(100, 100, 101)],
    ['our last window update lies ahead of what was received', sequences(0, 0, 1)],
    ["the client's last window update lies beyond our window", sequences(100, 65_636, 100)],
    ["the client's last window update lies beyond our window", sequences(0xffffffff, 65_535, 0xffffffff)],
  ])('%s', (what, bytes) => {
    const message = `snapshot: ${what}`;
    expect(refusalOf(bytes)).toMatchObject({ name: 'RepairError', code: 'malformed_snapshot', message });
  });
});

test('whatever arrives is accepted or refused as malformed, and what is accepted adds up', () => {
  let accepted = 0;
  const octet = fc.integer({ min: 0, max: 255 });
  // Mutations of a good snapshot get further than noise does.
  const mutations = fc.array(fc.tuple(fc.nat(layout.HEADER_BYTES - 1), octet), { maxLength: 4 });
  const mutated = mutations.map((places) =>
    changed((bytes) => places.forEach(([at, value]) => (bytes[at] = value))),
  );
  const noise = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(noise, mutated), (bytes) => {
      const refusal = refusalOf(bytes);
      if (refusal !== undefined) {
        expect(refusal).toMatchObject({ name: 'RepairError', code: 'malformed_snapshot' });
        return;
      }
      accepted += 1;
      const lengths = [layout.RECEIVE_LENGTH, layout.SENT_LENGTH, layout.UNSENT_LENGTH, layout.STATE_LENGTH];
      const queued = lengths.reduce((sum, field) => sum + bytes.readUInt32BE(field), 0);
      expect(layout.HEADER_BYTES + queued).toBe(bytes.length);
    }),
    { numRuns: 5000 },
  );
  process.stdout.write(`snapshots: ${accepted} of 5000 generated ones accepted\n`);
  expect(accepted).toBeGreaterThan(100);
});

test.each([
  { window: 0, timestamps: true, mss: 1460 },
  { window: 65_535, timestamps: true, mss: 1460 },
  { window: 2920, timestamps: false, mss: 1460 },
  { window: 2000, timestamps: false, mss: 1000 },
  { window: 1152, timestamps: true, mss: 576 + 12 },
  { window: 536, timestamps: false, mss: 536 },
  { window: 40, timestamps: true, mss: 88 },
])(
  'segments start at $mss bytes where the client never took more than $window at once',
  ({ window, timestamps, mss }) => {
    const bytes = makeSnapshot({ options: timestamps ? 7 : 6, mss: 1460 });
    bytes.writeUInt32BE(window, layout.WINDOW + 8);
    expect(layout.startingMss(bytes, 0)).toBe(mss);
  },
);

test.each([
  // At the last update the client was promised 1000 bytes, and has sent this many since.
  { sent: 0, left: 1000 },
  { sent: 999, left: 1 },
  { sent: 1000, left: 0 },
  // The kernel takes a little more than it promised, and a window may have been taken back.
  { sent: 1200, left: -200 },
])(
  '$sent bytes after the promise of 1000, $left are left, wherever the sequence begins',
  ({ sent, left }) => {
    for (const start of [0, 1, 0x7fffff00, 0xffffff00]) {
      const bytes = changed((snapshot) => {
        snapshot.writeUInt32BE(1000, layout.WINDOW + 12);
        snapshot.writeUInt32BE(start, layout.WINDOW + 16);
        snapshot.writeUInt32BE((start + sent) >>> 0, layout.RECEIVE_SEQUENCE);
      });
      expect(layout.windowLeft(bytes, 0)).toBe(left);
      expect(roomToProbe(bytes, 0) >= 0).toBe(left >= 1460);
    }
  },
);

test('a client that may still send a segment is probed', () => {
  const bytes = changed((snapshot) => snapshot.fill(0, layout.RECEIVE_SEQUENCE, layout.RECEIVE_LENGTH));
  bytes.writeUInt32BE(1459, layout.WINDOW + 12);
  expect(roomToProbe(bytes, 0) >= 0).toBe(false);
  bytes.writeUInt32BE(1460, layout.WINDOW + 12);
  expect(roomToProbe(bytes, 0) >= 0).toBe(true);
});

test('errors carry code, step and errno', () => {
  const error = new RepairError('kernel', 'set TCP_REPAIR', 1);
  expect(error).toMatchObject({
    code: 'kernel',
    step: 'set TCP_REPAIR',
    errno: 1,
    message: 'set TCP_REPAIR: EPERM',
  });
  expect(new RepairError('not_established', 'connection is closing').message).toBe('connection is closing');
});
