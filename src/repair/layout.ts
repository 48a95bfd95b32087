/**
 * The snapshot: everything needed to rebuild one connection, as bytes in network order. dump() writes them, the OFFER
 * frame carries them, restore() reads them; no object is made of them on the way.
 *
 *   offset  bytes  field
 *        0      1  layout version, 3
 *        1      1  negotiated options: TIMESTAMPS | SACK | WINDOW_SCALE
 *        2      1  the client's window scale (0-14), 0 without WINDOW_SCALE
 *        3      1  our window scale, likewise
 *        4      2  MSS that the client announced
 *        6      1  flags:
 *                     ONE_REQUEST   the connection carries one request and nothing behind it
 *                     PER_REQUEST   each request that begins on it is to be judged by the front's routes
 *                     ROUTED        but not the one whose head begins the receive queue: it has been routed, and edited
 *                     RAW           no HTTP: the connection is for whoever takes those without a head
 *        7      1  0
 *        8     36  flow (kernel/flow.ts): client address, VIP address, client port, VIP port
 *       44      4  timestamp clock of this connection (TCP_TIMESTAMP), 0 without TIMESTAMPS
 *       48      4  receive sequence: the next byte expected from the client (rcv_nxt)
 *       52      4  send sequence: the next byte that the application will write (write_seq)
 *       56      4  sequence of the segment that last updated the client's window (snd_wl1)
 *       60      4  the client's window, bytes (snd_wnd)
 *       64      4  the largest window that the client ever announced (max_window)
 *       68      4  our window, bytes (rcv_wnd)
 *       72      4  receive sequence at our last window update (rcv_wup)
 *       76      4  length of the receive queue
 *       80      4  length of the sent, unacknowledged part of the send queue
 *       84      4  length of the unsent part of the send queue
 *       88      4  length of the application's state
 *       92         receive queue, sent part, unsent part, application's state
 *
 * Queues against sequence numbers:
 *
 *     receive queue            rcv_nxt        snd_una   sent, unacknowledged   snd_nxt   unsent   write_seq
 *   --[=======================]|              |[==============================]|[================]|
 *     the application has not read it          the client may still ask for it  goes out when live
 */
import { impossibleFlow } from './addresses';
import { RepairError } from './errors';

export const SNAPSHOT_VERSION = 3;

export const VERSION = 0;
export const OPTIONS = 1;
export const CLIENT_WINDOW_SCALE = 2;
export const OUR_WINDOW_SCALE = 3;
export const MSS = 4;
export const FLAGS = 6;
const PADDING = 7;
export const FLOW = 8;
/** The parts of the flow. */
export const CLIENT = 8;
export const VIP = 24;
export const VIP_PORT = 42;
export const TIMESTAMP = 44;
export const RECEIVE_SEQUENCE = 48;
export const SEND_SEQUENCE = 52;
export const WINDOW = 56;
export const WINDOW_BYTES = 20;
const CLIENT_WINDOW = 60;
const LARGEST_WINDOW = 64;
const OUR_WINDOW = 68;
const WINDOW_UPDATE = 72;
export const RECEIVE_LENGTH = 76;
export const SENT_LENGTH = 80;
export const UNSENT_LENGTH = 84;
export const STATE_LENGTH = 88;
export const HEADER_BYTES = 92;

export const OPTION_TIMESTAMPS = 1;
export const OPTION_SACK = 2;
export const OPTION_WINDOW_SCALE = 4;
const OPTIONS_ALL = 7;

export const ONE_REQUEST = 1;
export const PER_REQUEST = 2;
export const ROUTED = 4;
export const RAW = 8;
const SETS_OF_FLAGS: readonly number[] = [0, ONE_REQUEST, PER_REQUEST, PER_REQUEST | ROUTED, RAW];

/**
 * The longest queues that are moved. tcp_rmem and tcp_wmem allow 6 and 4 MiB by default, and the kernel may hold a
 * little more than its limit; what is larger stays where it is.
 */
export const MAX_QUEUE_BYTES = 8 * 1024 * 1024;
/** What an application may say to the next one that serves its connection: a session, not a cache. */
export const MAX_STATE_BYTES = 64 * 1024;

/** RFC 7323 section 2.3. */
const MAX_WINDOW_SCALE = 14;
/** What a window field of 16 bits says, unscaled. */
const MAX_WINDOW_FIELD = 65_535;
/** The largest window that there is: with it, what is old and what is new can just be told apart (RFC 7323 section 2.2). */
const MAX_WINDOW = MAX_WINDOW_FIELD << MAX_WINDOW_SCALE;
/** The smallest MSS that a socket can be given (TCP_MIN_MSS, include/net/tcp.h); a client may announce less. */
export const MIN_MSS = 88;
/** What a sender assumes where nothing is announced (TCP_MSS_DEFAULT, include/net/tcp.h). */
const DEFAULT_MSS = 536;
/** An MSS counts the options of a segment, and timestamps are in every one. */
const TIMESTAMP_BYTES = 12;

/**
 * Checks a snapshot that came from a peer: lengths, ranges, options, flags, addresses and windows. Throws a RepairError
 * `malformed_snapshot` that says what is wrong. A connection may stand anywhere in the sequence numbers; whether the VIP is
 * allowed is the agent's business.
 */
export function checkSnapshot(bytes: Buffer, offset: number, length: number): void {
  if (length < HEADER_BYTES) wrong(`${length} bytes, shorter than its header`);
  if (bytes[offset + VERSION] !== SNAPSHOT_VERSION)
    wrong(`version ${bytes[offset + VERSION] ?? 0} is not known`);

  const options = bytes.readUInt8(offset + OPTIONS);
  if ((options & ~OPTIONS_ALL) !== 0) wrong(`unknown options ${options}`);
  const scales = [bytes.readUInt8(offset + CLIENT_WINDOW_SCALE), bytes.readUInt8(offset + OUR_WINDOW_SCALE)];
  const largest = (options & OPTION_WINDOW_SCALE) === 0 ? 0 : MAX_WINDOW_SCALE;
  if (scales.some((scale) => scale > largest)) wrong(`window scale ${scales.join('/')} was not negotiated`);
  if (bytes.readUInt16BE(offset + MSS) < MIN_MSS)
    wrong(`MSS ${bytes.readUInt16BE(offset + MSS)} is too small`);
  const flags = bytes.readUInt8(offset + FLAGS);
  if (!SETS_OF_FLAGS.includes(flags)) wrong(`unknown flags ${flags}`);
  if (bytes[offset + PADDING] !== 0) wrong('padding is not 0');

  const queues = [RECEIVE_LENGTH, SENT_LENGTH, UNSENT_LENGTH].map((field) =>
    bytes.readUInt32BE(offset + field),
  );
  if (queues.some((queue) => queue > MAX_QUEUE_BYTES))
    wrong(`a queue is longer than ${MAX_QUEUE_BYTES} bytes`);
  const state = bytes.readUInt32BE(offset + STATE_LENGTH);
  if (state > MAX_STATE_BYTES) wrong(`the application's state is longer than ${MAX_STATE_BYTES} bytes`);
  if (HEADER_BYTES + queues.reduce((sum, queue) => sum + queue, state) !== length)
    wrong('lengths do not add up');

  const objection = impossibleFlow(bytes, offset + FLOW);
  if (objection !== undefined) wrong(objection);
  checkWindows(bytes, offset);
}

/**
 * What the kernel keeps true of an ESTABLISHED connection. It refuses some of these itself, but only when everything else
 * has been restored (tcp_repair_set_window, net/ipv4/tcp.c); a window that it takes and that is none would have it send or
 * accept what no client expects.
 */
function checkWindows(bytes: Buffer, offset: number): void {
  const clients = bytes.readUInt32BE(offset + CLIENT_WINDOW);
  const largest = bytes.readUInt32BE(offset + LARGEST_WINDOW);
  const most = MAX_WINDOW_FIELD * 2 ** bytes.readUInt8(offset + CLIENT_WINDOW_SCALE);
  if (clients > largest) wrong(`the client's window ${clients} is larger than its largest, ${largest}`);
  if (largest > most) wrong(`the client cannot announce a window of ${largest}`);

  // Not by our window scale: the kernel counts more than it announces.
  const ours = bytes.readUInt32BE(offset + OUR_WINDOW);
  const expected = bytes.readUInt32BE(offset + RECEIVE_SEQUENCE);
  if (ours > MAX_WINDOW) wrong(`our window ${ours} is larger than any`);
  const sinceUpdate = (expected - bytes.readUInt32BE(offset + WINDOW_UPDATE)) >>> 0;
  if (sinceUpdate > MAX_WINDOW) wrong('our last window update lies ahead of what was received');
  const ahead = (bytes.readUInt32BE(offset + WINDOW) - expected) | 0;
  if (ahead > ours) wrong("the client's last window update lies beyond our window");
}

function wrong(what: string): never {
  throw new RepairError('malformed_snapshot', `snapshot: ${what}`);
}

const CLOCK_IN_MICROSECONDS = 1;

/**
 * What a timestamp clock (TIMESTAMP) shows after so many milliseconds, or a little more. Since Linux 6.7 the lowest bit is not
 * time: it says that the clock ticks in microseconds (TCP_TIMESTAMP, net/ipv4/tcp.c). Before, half of all clocks are taken for
 * such ones and go ahead by more than they need, which harms nobody.
 */
export function advancedClock(clock: number, ms: number): number {
  const ticks = Math.ceil((clock & CLOCK_IN_MICROSECONDS) === 0 ? ms : ms * 1000);
  return (clock + ticks + (ticks & 1)) >>> 0;
}

/** What the client has acknowledged: the sequence number of the first byte in the send queue (snd_una). */
export function acknowledged(bytes: Buffer, offset: number): number {
  const queued = bytes.readUInt32BE(offset + SENT_LENGTH) + bytes.readUInt32BE(offset + UNSENT_LENGTH);
  return (bytes.readUInt32BE(offset + SEND_SEQUENCE) - queued) >>> 0;
}

/**
 * The MSS to start with, bytes: what the client announced, or less where its window is so small that two such segments
 * never fit it. Larger ones would wait for the timer, 200 ms each (tcp_bound_to_half_wnd, include/net/tcp.h; RFC 9293
 * section 3.8.6.2.1). The kernel computes this when a window is announced, but not when one is restored.
 */
export function startingMss(bytes: Buffer, offset: number): number {
  const announced = bytes.readUInt16BE(offset + MSS);
  const window = bytes.readUInt32BE(offset + LARGEST_WINDOW);
  if (window === 0) return announced;
  const payload = window > DEFAULT_MSS ? window >>> 1 : window;
  const timestamps = (bytes.readUInt8(offset + OPTIONS) & OPTION_TIMESTAMPS) === 0 ? 0 : TIMESTAMP_BYTES;
  return Math.min(announced, Math.max(payload + timestamps, MIN_MSS));
}

/** What is left of the window that the client was promised, in bytes: how much more it may send unasked. */
export function windowLeft(bytes: Buffer, offset: number): number {
  const promised = bytes.readUInt32BE(offset + WINDOW_UPDATE) + bytes.readUInt32BE(offset + OUR_WINDOW);
  return (promised - bytes.readUInt32BE(offset + RECEIVE_SEQUENCE)) | 0;
}
