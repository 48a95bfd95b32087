import { BlockList } from 'node:net';
import { Admission, SOCKET_BYTES } from '../../src/agent/admission';
import { LiveConnections } from '../../src/agent/live-connections';
import { onlyMessage } from '../../src/agent/one-request';
import { OwnAddresses } from '../../src/agent/own-addresses';
import { RejectedOffer } from '../../src/agent/rejected-offer';
import { formatAddress, makeFlow, parseAddress } from '../../src/kernel/flow';
import { longestEditedHead, MOST_ADDED_BYTES } from '../../src/peek/edited-head';
import { RepairError } from '../../src/repair/errors';
import * as layout from '../../src/repair/layout';
import { makeSnapshot, type SnapshotParts } from '../repair/snapshots';
import { fuzz } from './fuzz';
import type { Random } from './mutator';
import { slowMessage } from './slow-head';

const VIP4 = '198.19.0.1';
const VIP6 = '2001:2:0:ff::1';
const OTHER_VIP = '198.19.0.2';
const OWN = ['198.18.0.21', '2001:2::21', VIP4];

const FLOW4 = makeFlow('198.18.1.1', 40_000, VIP4, 80);
const FLOW6 = makeFlow('2001:2::1', 40_000, VIP6, 443);

/** A snapshot of one request, whose receive queue holds this. */
function withRequest(received: string, parts: SnapshotParts = {}): Buffer {
  const bytes = makeSnapshot({ flags: layout.ONE_REQUEST, queues: [received.length, 0, 0], ...parts });
  bytes.write(received, layout.HEADER_BYTES, 'latin1');
  return bytes;
}

const REQUESTS = [
  'GET /x HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n',
  'GET /x HTTP/1.0\r\nConnection: close\r\n\r\nGET /next HTTP/1.1\r\nHost: lab\r\n\r\n',
  'POST /x HTTP/1.1\r\nHost: lab\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello',
  'POST /x HTTP/1.1\r\nHost: lab\r\nContent-Length: 500\r\nConnection: close\r\n\r\nhel',
  'POST /x HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\nA: b\r\n\r\nGET',
  'GET /x HTTP/1.1\r\nHost: lab\r\nUpgrade: websocket\r\nConnection: close, upgrade\r\n\r\n\x81\x00',
];
const CORPUS = [
  ...[FLOW4, FLOW6, makeFlow('127.0.0.1', 1, '127.0.0.1', 2), makeFlow('::1', 1, '::1', 2)].flatMap(
    (flow) => [
      makeSnapshot({ flow }),
      makeSnapshot({ flow, queues: [0, 0, 0], options: 0, scales: [0, 0], windows: [0, 0, 0] }),
      makeSnapshot({ flow, queues: [5, 0, 3], scales: [14, 14], windows: [2 ** 29, 2 ** 30 - 2 ** 14, 1] }),
      makeSnapshot({ flow, flags: layout.PER_REQUEST | layout.ROUTED, state: 7 }),
    ],
  ),
  makeSnapshot({ flow: makeFlow('198.18.0.21', 1, VIP4, 80) }),
  makeSnapshot({ flow: makeFlow('198.18.1.1', 1, OTHER_VIP, 80) }),
  ...REQUESTS.flatMap((text) => [
    withRequest(text),
    withRequest(text, { flow: FLOW6, options: 3, scales: [0, 0] }),
  ]),
];
const WORDS = [
  ...[FLOW4, FLOW6],
  ...[
    '0.0.0.0',
    '127.0.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'ff02::1',
    'fe80::1',
    VIP6,
    ...OWN,
  ].map((address) => parseAddress(address)),
  ...[
    '\r\n',
    '\r\n\r\n',
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    '0\r\n\r\n',
    'Host: lab\r\n',
  ],
];

/** Addresses that no connection over a network has, as the IANA's registries list them. */
const NOWHERE = new BlockList();
NOWHERE.addSubnet('0.0.0.0', 8);
NOWHERE.addSubnet('224.0.0.0', 4);
NOWHERE.addAddress('255.255.255.255');
NOWHERE.addAddress('::', 'ipv6');
NOWHERE.addSubnet('ff00::', 8, 'ipv6');
NOWHERE.addSubnet('fe80::', 10, 'ipv6');
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

/** The layout of layout.ts once more, in words of 32 bits from offset 44 on. */
interface Fields {
  readonly octets: readonly number[];
  readonly mss: number;
  readonly client: string;
  readonly vip: string;
  readonly ports: readonly [client: number, vip: number];
  readonly words: readonly number[];
}

function fieldsOf(bytes: Buffer): Fields {
  return {
    octets: [...bytes.subarray(0, 8)],
    mss: bytes.readUInt16BE(4),
    client: formatAddress(bytes, 8),
    vip: formatAddress(bytes, 24),
    ports: [bytes.readUInt16BE(40), bytes.readUInt16BE(42)],
    words: Array.from({ length: 12 }, (_, index) => bytes.readUInt32BE(44 + 4 * index)),
  };
}

/** Whether a snapshot is one that a connection may have, by rules written apart from those of layout.ts. */
function isSound(bytes: Buffer): boolean {
  if (bytes.length < 92) return false;
  const { octets, mss, client, vip, ports, words } = fieldsOf(bytes);
  const [version = 0, options = 0, clientScale = 0, ourScale = 0, , , flags, padding] = octets;
  if (version !== 3 || options > 7 || ![0, 1, 2, 6, 8].includes(flags ?? 0) || padding !== 0 || mss < 88)
    return false;
  if (Math.max(clientScale, ourScale) > (options >= 4 ? 14 : 0)) return false;

  const [, received = 0, , snd_wl1 = 0, snd_wnd = 0, max_window = 0, rcv_wnd = 0, rcv_wup = 0, ...queues] =
    words;
  if (queues.some((queue) => queue > 2 ** 23) || (queues.at(-1) ?? 0) > 2 ** 16) return false;
  if (queues.reduce((sum, queue) => sum + queue, 92) !== bytes.length) return false;

  const [family, other] = [client, vip].map((address) => (address.includes(':') ? 'ipv6' : 'ipv4'));
  if (family === undefined || family !== other || ports.includes(0)) return false;
  if (NOWHERE.check(client, family) || NOWHERE.check(vip, family)) return false;
  if (LOOPBACK.check(client, family) !== LOOPBACK.check(vip, family)) return false;
  if (client === vip && ports[0] === ports[1]) return false;

  const largest = 65_535n << 14n;
  const behind = (from: number, to: number): bigint => BigInt.asUintN(32, BigInt(to) - BigInt(from));
  const beyond = BigInt.asIntN(32, BigInt(snd_wl1) - BigInt(received));
  if (snd_wnd > max_window || BigInt(max_window) > 65_535n << BigInt(clientScale)) return false;
  return BigInt(rcv_wnd) <= largest && behind(rcv_wup, received) <= largest && beyond <= BigInt(rcv_wnd);
}

/** The code or reason that something was refused with; undefined where it was not. */
function refusalOf(attempt: () => unknown): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (error instanceof RepairError) return error.code;
    if (error instanceof RejectedOffer) return error.reason;
    throw error;
  }
}

const admission = new Admission(
  [
    { address: parseAddress(VIP4), port: 80 },
    { address: parseAddress(VIP6) },
    { address: parseAddress('127.0.0.1') },
  ],
  new LiveConnections(() => undefined),
  new OwnAddresses(() => OWN),
);

/** Why an agent of these VIPs and addresses does not take a sound snapshot. */
function objectionTo({ client, vip, ports }: Fields): string | undefined {
  const allowed = (vip === VIP4 && ports[1] === 80) || vip === VIP6 || vip === '127.0.0.1';
  if (!allowed) return 'vip_not_allowed';
  return OWN.includes(client) ? 'malformed_snapshot' : undefined;
}

/** Claims what a sound snapshot holds, once, and gives it back. */
function checkClaim(bytes: Buffer, offset: number, length: number, fields: Fields): string {
  const claim = () => admission.claim(bytes, offset, length, 'f1');
  const objection = objectionTo(fields);
  if (objection !== undefined) {
    expect(refusalOf(claim)).toBe(objection);
    return objection;
  }
  const claimed = claim();
  const queued = fields.words.slice(-4).reduce((sum, queue) => sum + queue, 0);
  expect(claimed).toMatchObject({ bytes: SOCKET_BYTES + queued, replacesOpen: false });
  expect(refusalOf(claim)).toBe('address_in_use');
  admission.release(claimed);
  return 'admitted';
}

const HEAD_LIMITS = { bytes: longestEditedHead(65_536, MOST_ADDED_BYTES), fields: 134 };

/** The message of a sound snapshot must be where the slow way finds it. */
function checkMessage(bytes: Buffer, offset: number, [flags]: readonly [number], received: string): string {
  let message: ReturnType<typeof onlyMessage>;
  const refusal = refusalOf(() => (message = onlyMessage(bytes, offset)));
  if (flags !== layout.ONE_REQUEST) {
    expect([refusal, message]).toEqual([undefined, undefined]);
    return 'any requests';
  }
  const slow = slowMessage(received, HEAD_LIMITS);
  if (slow === 'none') {
    expect(refusal).toBe('malformed_snapshot');
    return 'no head';
  }
  if (refusal !== undefined || message === undefined) throw new Error(`refused with ${refusal ?? 'nothing'}`);
  const taken = message.end.take(Buffer.from(received, 'latin1'));
  const { over } = message.end;
  // The first octet that cannot be ends a chunked message, and sizes of more than twelve digits cannot be; the slow way
  // looks at whole lines. A server never finds the end later than this does.
  expect(over || taken === received.length).toBe(true);
  if (typeof slow === 'string') {
    if (!/^transfer-encoding:/im.test(received)) expect(over).toBe(false);
  } else if (!/[0-9a-f]{13}/i.test(received)) {
    expect([taken, over]).toEqual([slow.length, true]);
  } else {
    expect(taken).toBeLessThanOrEqual(slow.length);
  }
  return 'one request';
}

/** Most changes would leave lengths that do not add up, and hide what else is wrong. */
function withLengthsMended(input: Buffer, random: Random): Buffer {
  if (input.length < layout.HEADER_BYTES || random.oneIn(3)) return input;
  const bytes = Buffer.from(input);
  const queued = bytes.length - layout.HEADER_BYTES;
  const sent = random.oneIn(4) ? random.below(queued + 1) : 0;
  bytes.writeUInt32BE(queued - sent, layout.RECEIVE_LENGTH);
  bytes.writeUInt32BE(sent, layout.SENT_LENGTH);
  bytes.writeUInt32BE(0, layout.UNSENT_LENGTH);
  const state = random.oneIn(4) ? random.below(queued - sent + 1) : 0;
  bytes.writeUInt32BE(queued - sent - state, layout.RECEIVE_LENGTH);
  bytes.writeUInt32BE(state, layout.STATE_LENGTH);
  return bytes;
}

test('a snapshot is taken where the slow way takes it, and otherwise refused by a documented code', async () => {
  const counts: Record<string, number> = {};
  const count = (what: string): void => void (counts[what] = (counts[what] ?? 0) + 1);
  const tried = await fuzz('snapshots', {
    corpus: CORPUS,
    dictionary: WORDS,
    check: (input, random) => {
      const snapshot = withLengthsMended(input, random);
      // As it arrives: behind other bytes, and before others that are no part of it.
      const offset = random.below(16);
      const bytes = Buffer.concat([Buffer.alloc(offset, 0xee), snapshot, Buffer.alloc(100, 0x02)]);
      const refusal = refusalOf(() => layout.checkSnapshot(bytes, offset, snapshot.length));
      expect(refusal).toBe(isSound(snapshot) ? undefined : 'malformed_snapshot');
      if (refusal !== undefined) {
        count('malformed');
        return;
      }
      const fields = fieldsOf(snapshot);
      const [send = 0, received = 0] = [fields.words[2], fields.words.at(-4)];
      const queued = fields.words.slice(-3, -1).reduce((sum, queue) => sum + queue, 0);
      expect((layout.acknowledged(bytes, offset) + queued) % 2 ** 32).toBe(send);
      const mss = layout.startingMss(bytes, offset);
      if (mss < 88 || mss > fields.mss) throw new Error(`would start with an MSS of ${mss}`);
      count(checkClaim(bytes, offset, snapshot.length, fields));
      const queue = snapshot.toString('latin1', layout.HEADER_BYTES, layout.HEADER_BYTES + received);
      count(checkMessage(bytes, offset, [fields.octets[6] ?? 0], queue));
    },
  });
  const list = Object.entries(counts).map(([what, number]) => `${number} ${what}`);
  process.stdout.write(`  snapshots: ${list.join(', ')}\n`);
  expect(Object.keys(counts).sort()).toEqual([
    ...['admitted', 'any requests', 'malformed', 'malformed_snapshot', 'no head', 'one request'],
    'vip_not_allowed',
  ]);
  expect(Math.min(...Object.values(counts))).toBeGreaterThan(tried / 200);
}, 300_000);
