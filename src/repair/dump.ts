/**
 * Dump and thaw: the half of the handoff that happens where the connection is.
 *
 *   freeze(fd)                     packets of the flow are dropped from here on
 *   length = dump(fd, flow, into)  `into` holds the snapshot, the socket is as it was
 *   unmoved(fd, sequence)          nothing slipped in since, the snapshot is still the truth
 *   silence(fd)                    repair on: whatever comes now, it will never speak again
 *   release(fd)                    closes it silently; or
 *   thaw(fd)                       back to life, as if nothing had happened
 *
 * A process that dies with a socket in repair takes the connection along without a word, and its client waits for ever.
 * So a dump leaves repair as soon as it has read what it needs, and only the release goes back in: if the process dies
 * while its offer is under way, the kernel closes the socket as any other, with a RST to the client.
 *
 * Everything is synchronous and allocates nothing: a dump takes a few microseconds.
 */
import { EPERM } from '../kernel/errors';
import { FLOW_BYTES } from '../kernel/flow';
import { close, recv } from '../kernel/libc';
import {
  getOption,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_PEEK,
  setLinger,
  setOption,
  SO_REUSEADDR,
  SOL_SOCKET,
  TCP_INFO,
  TCP_MAXSEG,
  TCP_QUEUE_SEQ,
  TCP_REPAIR,
  TCP_REPAIR_QUEUE,
  TCP_REPAIR_WINDOW,
  TCP_TIMESTAMP,
  unacknowledgedBytes,
  unreadBytes,
  unsentBytes,
} from '../kernel/socket';
import { RepairError } from './errors';
import { unfreeze } from './freeze';
import * as layout from './layout';

export const REPAIR_ON = 1;
/** Leaves repair without sending a window probe (TCP_REPAIR_OFF_NO_WP). */
export const REPAIR_OFF_SILENT = -1;
export const RECEIVE_QUEUE = 1;
export const SEND_QUEUE = 2;

const TCP_ESTABLISHED = 1;
// struct tcp_info (include/uapi/linux/tcp.h): state, five bytes, options, both window scales in one byte, and further
// down the segments that wait for an acknowledgement, the bytes received so far, of which the lower half is enough, and
// those that wait to be sent.
const INFO_STATE = 0;
const INFO_OPTIONS = 5;
const INFO_WINDOW_SCALES = 6;
const INFO_UNACKNOWLEDGED = 24;
const INFO_RECEIVED = 128;
const INFO_UNSENT = 144;
const INFO_BYTES = 148;
const INFO_OPTION_MASK = layout.OPTION_TIMESTAMPS | layout.OPTION_SACK | layout.OPTION_WINDOW_SCALE;

/** Acknowledged bytes that may precede the send queue: a GSO segment's worth (64 KiB without BIG TCP). */
const ACKNOWLEDGED_HEAD = 64 * 1024;

const scratch = Buffer.alloc(layout.WINDOW_BYTES);
const info = Buffer.alloc(INFO_BYTES);

/** Memory that dumps are written to; it grows with the largest queue seen. One per thread is enough. */
export class DumpBuffer {
  bytes = Buffer.allocUnsafeSlow(layout.HEADER_BYTES + 64 * 1024);
  /** The same memory behind the snapshot's header. */
  queues = this.bytes.subarray(layout.HEADER_BYTES);
  /** Sequence number of the SYN of the connection that was dumped last; not a part of the snapshot. */
  initialSequence = 0;

  /** Makes room for `length` bytes; what was there is kept. */
  reserve(length: number): void {
    if (length <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(length, this.bytes.length * 2));
    this.bytes.copy(larger);
    this.bytes = larger;
    this.queues = larger.subarray(layout.HEADER_BYTES);
  }

  /**
   * Puts `octets` into the place of the first `replaced` ones of a dumped receive queue and returns the snapshot's new
   * length; `length` is what dump() returned. No sequence number changes: the queue ends at the same one, and where it
   * begins is for restore() to calculate.
   */
  replaceReceived(length: number, replaced: number, octets: Buffer): number {
    const growth = octets.length - replaced;
    const received = this.bytes.readUInt32BE(layout.RECEIVE_LENGTH) + growth;
    if (received > layout.MAX_QUEUE_BYTES)
      throw new RepairError('kernel', `replace a head: ${received} bytes queued, too many`);
    this.reserve(length + growth);
    this.bytes.copyWithin(layout.HEADER_BYTES + octets.length, layout.HEADER_BYTES + replaced, length);
    octets.copy(this.queues);
    this.bytes.writeUInt32BE(received, layout.RECEIVE_LENGTH);
    return length + growth;
  }

  /** Adds the application's state to a dumped snapshot without one, and returns its new length. */
  appendState(length: number, state: Buffer): number {
    if (state.length > layout.MAX_STATE_BYTES)
      throw new RepairError('kernel', `application's state: ${state.length} bytes, too many`);
    this.reserve(length + state.length);
    state.copy(this.bytes, length);
    this.bytes.writeUInt32BE(state.length, layout.STATE_LENGTH);
    return length + state.length;
  }
}

/**
 * Writes the snapshot of a frozen connection to the beginning of `into`; returns its length. `flow` (FLOW_BYTES) is
 * copied into it. Throws a RepairError; the socket may then be in repair, and `thaw` undoes that too.
 *
 * `peeked` says that the first so many bytes of the receive queue are in `into.queues` already, of a connection from which
 * nothing has been read yet: where TCP_INFO says that no more have arrived, they need not be copied again.
 *
 * With `silent` the connection stays in repair: its process may close it, or die, and the client hears nothing of that.
 */
export function dump(fd: number, flow: Buffer, into: DumpBuffer, peeked = 0, silent = false): number {
  enterRepair(fd);
  selectQueue(fd, SEND_QUEUE);
  readSequence(fd, into.bytes, layout.SEND_SEQUENCE);
  // From here on `unmoved` notices whatever lands: the receive sequence is read before all else that a packet could
  // change, the state included (a FIN counts in the sequence). It stays the selected queue.
  selectQueue(fd, RECEIVE_QUEUE);
  readSequence(fd, into.bytes, layout.RECEIVE_SEQUENCE);
  readInfo(fd, into);
  const unread = peeked > 0 && received() === peeked ? peeked : readReceiveQueue(fd, into);
  const sent = info.readUInt32LE(INFO_UNACKNOWLEDGED) > 0;
  const queued =
    sent || info.readUInt32LE(INFO_UNSENT) > 0 ? readSendQueue(fd, into, unread) : NOTHING_QUEUED;
  readMss(fd, into);
  readTimestamp(fd, into);
  get(fd, TCP_REPAIR_WINDOW, scratch, layout.WINDOW_BYTES, 'get TCP_REPAIR_WINDOW');
  swap(into.bytes, layout.WINDOW, layout.WINDOW_BYTES);

  into.bytes[layout.VERSION] = layout.SNAPSHOT_VERSION;
  flow.copy(into.bytes, layout.FLOW, 0, FLOW_BYTES);
  into.bytes.writeUInt32BE(unread, layout.RECEIVE_LENGTH);
  into.bytes.writeUInt32BE(queued.sent, layout.SENT_LENGTH);
  into.bytes.writeUInt32BE(queued.unsent, layout.UNSENT_LENGTH);
  into.bytes.writeUInt32BE(0, layout.STATE_LENGTH);
  // With bytes to send it stays in repair, or its timers would send them again.
  if (queued === NOTHING_QUEUED && !silent) leaveRepair(fd, 'dump');
  return layout.HEADER_BYTES + unread + queued.sent + queued.unsent;
}

/**
 * Writes the snapshot of a connection that goes on to the beginning of `into`, and returns its length. Nothing may wait in its
 * queues. Throws a RepairError of the code `queue_moved` where something does, or comes meanwhile; it is an ordinary connection
 * again in any case.
 */
export function copyIdle(fd: number, flow: Buffer, into: DumpBuffer): number {
  let length: number;
  try {
    length = dump(fd, flow, into);
  } finally {
    leaveRepair(fd, 'copy');
    allowListener(fd);
  }
  if (length > layout.HEADER_BYTES || !unmoved(fd, into.bytes.readUInt32BE(layout.RECEIVE_SEQUENCE)))
    throw new RepairError('queue_moved', 'copy of an idle connection: it is not idle');
  return length;
}

/**
 * Copies to `into.queues` what has come on a frozen connection since its sequences were these, and returns its length. Stays in
 * repair: its process may close it, or die, and the client hears nothing of that. Throws a RepairError, of the code
 * `queue_moved` where anything but octets has come, or was sent.
 */
export function copyReceived(fd: number, sent: number, received: number, into: DumpBuffer): number {
  enterRepair(fd);
  selectQueue(fd, SEND_QUEUE);
  const nothingSent = unmoved(fd, sent) && unacknowledgedBytes(fd) === 0;
  selectQueue(fd, RECEIVE_QUEUE);
  const length = readReceiveQueue(fd, into);
  if (nothingSent && unmoved(fd, (received + length) >>> 0)) return length;
  throw new RepairError('queue_moved', `octets behind a copy: ${length}, and more than these has changed`);
}

/** State, options and window scales; leaves the rest in `info`. */
function readInfo(fd: number, into: DumpBuffer): void {
  get(fd, TCP_INFO, info, INFO_BYTES, 'get TCP_INFO');
  if (info[INFO_STATE] !== TCP_ESTABLISHED) throw new RepairError('not_established', 'connection is closing');
  const target = into.bytes;
  const options = info.readUInt8(INFO_OPTIONS) & INFO_OPTION_MASK;
  const scales = (options & layout.OPTION_WINDOW_SCALE) === 0 ? 0 : info.readUInt8(INFO_WINDOW_SCALES);
  target[layout.OPTIONS] = options;
  target[layout.CLIENT_WINDOW_SCALE] = scales & 15;
  target[layout.OUR_WINDOW_SCALE] = scales >> 4;
  // A SYN counts as one.
  into.initialSequence = (target.readUInt32BE(layout.RECEIVE_SEQUENCE) - received() - 1) >>> 0;
}

/** How many bytes the client has sent since the connection began, the lower 32 bits of the number. */
function received(): number {
  return info.readUInt32LE(INFO_RECEIVED);
}

function readMss(fd: number, { bytes }: DumpBuffer): void {
  get(fd, TCP_MAXSEG, scratch, 4, 'get TCP_MAXSEG');
  const mss = scratch.readUInt32LE(0);
  // The restored connection would get a larger one, and send segments that this client has said it cannot take.
  if (mss < layout.MIN_MSS)
    throw new RepairError(
      'kernel',
      `client's MSS is ${mss}, and TCP_MAXSEG takes no less than ${layout.MIN_MSS}`,
    );
  // The field, no flags and the padding at once.
  bytes.writeUInt32BE(mss * 0x10000, layout.MSS);
}

function readTimestamp(fd: number, { bytes }: DumpBuffer): void {
  if ((bytes.readUInt8(layout.OPTIONS) & layout.OPTION_TIMESTAMPS) === 0) {
    bytes.writeUInt32BE(0, layout.TIMESTAMP);
    return;
  }
  get(fd, TCP_TIMESTAMP, scratch, 4, 'get TCP_TIMESTAMP');
  swap(bytes, layout.TIMESTAMP, 4);
}

/**
 * Whether the receive sequence of a dumped connection is still `expected`, the one in the snapshot (RECEIVE_SEQUENCE). A
 * packet that had passed the filter on another CPU when it was attached can land after the dump: then the snapshot lacks
 * its bytes.
 */
export function unmoved(fd: number, expected: number): boolean {
  // The queue that the dump has selected last; reading its sequence takes no repair (do_tcp_getsockopt, net/ipv4/tcp.c).
  get(fd, TCP_QUEUE_SEQ, scratch, 4, 'get TCP_QUEUE_SEQ');
  return scratch.readUInt32LE(0) === expected;
}

/** Puts a dumped connection back into repair, for its release. */
export function silence(fd: number): void {
  enterRepair(fd);
}

/**
 * Brings a frozen (and perhaps dumped) connection back to life where it is. Sends nothing; whatever the client sent
 * in between it sends again.
 */
export function thaw(fd: number): void {
  try {
    leaveRepair(fd, 'thaw');
    allowListener(fd);
  } finally {
    unfreeze(fd);
  }
}

/** Closes a connection in repair without a packet (tcp_close, net/ipv4/tcp.c): it lives on elsewhere, or nowhere. */
export function release(fd: number): void {
  close(fd);
}

/** Ends a frozen connection with a RST to the client: for one that nobody serves any more. */
export function reset(fd: number): void {
  setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_SILENT);
  setLinger(fd, 0);
  close(fd);
}

function enterRepair(fd: number): void {
  const on = setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_ON);
  if (on < 0)
    throw new RepairError(on === -EPERM ? 'not_permitted' : 'not_established', 'set TCP_REPAIR', -on);
}

function leaveRepair(fd: number, step: string): void {
  const off = setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_SILENT);
  if (off < 0) throw new RepairError('kernel', `${step}: leave repair`, -off);
}

/** Leaving repair clears the option (net/ipv4/tcp.c), and then a listener that starts anew could not bind. */
function allowListener(fd: number): void {
  setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

function get(fd: number, option: number, target: Buffer, length: number, step: string): void {
  const result = getOption(fd, IPPROTO_TCP, option, target, length);
  if (result < 0) throw new RepairError('kernel', step, -result);
}

function count(result: number, step: string): number {
  if (result < 0) throw new RepairError('kernel', step, -result);
  if (result > layout.MAX_QUEUE_BYTES)
    throw new RepairError('kernel', `${step}: ${result} bytes queued, too many`);
  return result;
}

function selectQueue(fd: number, queue: number): void {
  const result = setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue);
  if (result < 0) throw new RepairError('kernel', 'set TCP_REPAIR_QUEUE', -result);
}

function readSequence(fd: number, target: Buffer, field: number): void {
  get(fd, TCP_QUEUE_SEQ, scratch, 4, 'get TCP_QUEUE_SEQ');
  swap(target, field, 4);
}

/** Copies 32-bit words from the scratch cell to network order. */
function swap(target: Buffer, field: number, length: number): void {
  for (let i = 0; i < length; i += 4) target.writeUInt32BE(scratch.readUInt32LE(i), field + i);
}

/**
 * Copies the selected receive queue and returns its length: one call returns all of it, unless an urgent byte is in it
 * (tcp_recvmsg_locked, net/ipv4/tcp.c). No protocol in use here sends one; such a connection stays where it is.
 */
function readReceiveQueue(fd: number, into: DumpBuffer): number {
  const length = count(unreadBytes(fd), 'SIOCINQ');
  if (length === 0) return 0;
  into.reserve(layout.HEADER_BYTES + length);
  const got = recv(fd, into.queues, length, MSG_PEEK | MSG_DONTWAIT);
  if (got < 0) throw new RepairError('kernel', 'peek receive queue', -got);
  if (got !== length) throw new RepairError('queue_moved', `peek receive queue: ${got} of ${length} bytes`);
  return length;
}

/** The lengths of the two parts of a send queue. */
interface SendQueue {
  readonly sent: number;
  readonly unsent: number;
}

const NOTHING_QUEUED: SendQueue = { sent: 0, unsent: 0 };

/** Copies the send queue behind `unread` bytes of the receive queue, which is the selected one before and after. */
function readSendQueue(fd: number, into: DumpBuffer, unread: number): SendQueue {
  const queued = count(unacknowledgedBytes(fd), 'SIOCOUTQ');
  if (queued === 0) return NOTHING_QUEUED;
  const unsent = count(unsentBytes(fd), 'SIOCOUTQNSD');
  selectQueue(fd, SEND_QUEUE);
  const queue = peekSendQueue(fd, queued);
  selectQueue(fd, RECEIVE_QUEUE);
  into.reserve(layout.HEADER_BYTES + unread + queued);
  queue.copy(into.queues, unread);
  return { sent: queued - unsent, unsent };
}

/**
 * Copies the selected send queue's last `length` bytes. The kernel begins at a segment's start, so bytes that are
 * acknowledged already may come first; and a buffer that is too short gets a part of the data but the whole length as
 * the answer (tcp_peek_sndq, net/ipv4/tcp.c). Rare enough to allocate: a front has sent nothing before a handoff.
 */
function peekSendQueue(fd: number, length: number): Buffer {
  for (let room = length + ACKNOWLEDGED_HEAD; ;) {
    const copy = Buffer.allocUnsafe(room);
    const got = recv(fd, copy, room, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0) throw new RepairError('kernel', 'peek send queue', -got);
    // An acknowledgement that was under way has come in since the length was read.
    if (got < length || unacknowledgedBytes(fd) !== length) {
      throw new RepairError('queue_moved', `peek send queue: ${got} of ${length} bytes`);
    }
    if (got <= room) return copy.subarray(got - length, got);
    room = got;
  }
}
