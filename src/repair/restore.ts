/**
 * Restore: the half of the handoff that happens where the connection goes.
 *
 *   fd = restorer.restore(bytes, offset, length)   rebuilt, frozen and in repair: silent, deaf, prepared
 *   goLive(fd, bytes, offset)                       the one live copy of the connection from here on; or
 *   release(fd)                                     gone without a packet, as if it had never been here
 *
 * A prepared socket drops what arrives: until the other side has committed, it may still come back to life there, and
 * a byte acknowledged here would be lost to it.
 */
import { EACCES, EADDRNOTAVAIL, EPERM, KernelError } from '../kernel/errors';
import { flowFamily, SOCKADDR_BYTES, sockaddrFromFlowClient, sockaddrFromFlowVip } from '../kernel/flow';
import { bind, close, connect, send, setsockopt, socket } from '../kernel/libc';
import { isUndelivered, SockDiag } from '../kernel/sock-diag';
import {
  AF_INET,
  AF_INET6,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  setOption,
  setOptionU32,
  SO_BUF_LOCK,
  SO_OOBINLINE,
  SO_RCVBUFFORCE,
  SO_REUSEADDR,
  SO_SNDBUFFORCE,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_MAXSEG,
  TCP_QUEUE_SEQ,
  TCP_REPAIR,
  TCP_REPAIR_OPTIONS,
  TCP_REPAIR_QUEUE,
  TCP_REPAIR_WINDOW,
  TCP_TIMESTAMP,
} from '../kernel/socket';
import { RECEIVE_QUEUE, REPAIR_OFF_SILENT, REPAIR_ON, SEND_QUEUE } from './dump';
import { RepairError, type RepairCode } from './errors';
import { freeze, unfreeze } from './freeze';
import * as layout from './layout';

const REPAIR_OFF_PROBE = 0;

// TCP option kinds as TCP_REPAIR_OPTIONS takes them (include/net/tcp.h).
const KIND_MSS = 2;
const KIND_WINDOW = 3;
const KIND_SACK_PERMITTED = 4;
const KIND_TIMESTAMP = 8;
const OPTION_BYTES = 8;
/** TCP_MAXSEG takes no more (MAX_TCP_WINDOW, include/net/tcp.h); a loopback interface announces 65,495. */
const LARGEST_MAXSEG = 32767;

/**
 * How far the clock of a restored connection is ahead of the dumped one. Neither repair nor a filter stops the timers of the old
 * socket: a delayed acknowledgement (200 ms at most, TCP_DELACK_MAX in include/net/tcp.h) that it sends when the connection lives
 * elsewhere must not have a later timestamp than what comes from there, because the client would drop that until the clock has
 * caught up (PAWS, RFC 7323 section 5).
 */
const CLOCK_AHEAD_MS = 250;

/**
 * A queue that fits the default buffers of a fresh socket is written as it is. A larger one needs the buffer enlarged
 * first, or the kernel answers EAGAIN (send queue) or ENOMEM (receive queue): memory is counted with its overhead, hence
 * the factor. Releasing the buffer lock afterwards brings autotuning back.
 */
const PLAIN_QUEUE_BYTES = 32 * 1024;
const OVERHEAD_FACTOR = 4;
const UNLOCK_BUFFERS = 0;

const sockaddr = Buffer.alloc(SOCKADDR_BYTES);
const options = Buffer.alloc(4 * OPTION_BYTES);
const window = Buffer.alloc(layout.WINDOW_BYTES);

export class Restorer {
  #sockDiag: SockDiag | undefined;

  /**
   * Rebuilds the connection of a snapshot that `checkSnapshot` has accepted and returns its socket, frozen and in
   * repair. Throws a RepairError, leaving nothing behind. Synchronous; sends nothing.
   *
   * What is left here of an old connection of the same addresses makes way: one that no process has any more, and of
   * which the client lacks nothing. With `replacesOpen` any other one too: the caller knows that the client has given it
   * up.
   */
  restore(bytes: Buffer, offset: number, replacesOpen = false): number {
    const family = flowFamily(bytes, offset + layout.FLOW) === 4 ? AF_INET : AF_INET6;
    const fd = must(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
    try {
      freeze(fd);
      // As on the front's listeners: an urgent byte stays where it is in the stream, whoever reads it.
      must(setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1), 'set SO_OOBINLINE');
      rewindSequences(fd, bytes, offset);
      this.#connect(fd, bytes, offset, replacesOpen);
      setOptions(fd, bytes, offset);
      fillQueues(fd, bytes, offset);
      setWindow(fd, bytes, offset);
      return fd;
    } catch (error) {
      close(fd); // still in repair, so without a packet
      throw error;
    }
  }

  close(): void {
    this.#sockDiag?.close();
  }

  /** In repair, connect(2) only fills in the addresses and goes to ESTABLISHED: no packet is sent. */
  #connect(fd: number, bytes: Buffer, offset: number, replacesOpen: boolean): void {
    const flow = offset + layout.FLOW;
    let length = sockaddrFromFlowVip(bytes, flow, sockaddr);
    const bound = bind(fd, sockaddr, length);
    // In repair, too, a port below 1024 takes CAP_NET_BIND_SERVICE (ip_unprivileged_port_start, net/ipv4/af_inet.c).
    if (bound === -EACCES) throw new RepairError('not_permitted', 'bind to the VIP', EACCES);
    must(bound, 'bind to the VIP', EADDRNOTAVAIL, 'vip_not_local');
    length = sockaddrFromFlowClient(bytes, flow, sockaddr);
    const connected = connect(fd, sockaddr, length);
    if (connected === 0) return;
    // The tuple is known here: TIME_WAIT, or a connection whose end never arrived.
    if (connected === -EADDRNOTAVAIL && this.#destroyOld(bytes, flow, replacesOpen)) {
      must(
        connect(fd, sockaddr, length),
        'connect, old connection destroyed',
        EADDRNOTAVAIL,
        'address_in_use',
      );
    } else {
      must(connected, 'connect', EADDRNOTAVAIL, 'address_in_use');
    }
  }

  /** Returns whether the tuple may be free now. */
  #destroyOld(bytes: Buffer, flow: number, open: boolean): boolean {
    try {
      this.#sockDiag ??= new SockDiag();
      const old = this.#sockDiag.find(bytes, flow);
      if (old === undefined) return true;
      if (!open && (!old.orphan || isUndelivered(old))) return false;
      this.#sockDiag.destroy(bytes, flow, old);
      return true;
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
      // Kernels without CONFIG_INET_DIAG_DESTROY, and older ones for TIME_WAIT, answer EOPNOTSUPP.
      throw new RepairError('address_in_use', error.step, error.errno);
    }
  }
}

/**
 * Adds octets to the receive queue of a restored connection, as if they had come behind its snapshot. Throws a RepairError; the
 * connection is worth nothing then.
 */
export function appendReceived(fd: number, octets: Buffer): void {
  selectQueue(fd, RECEIVE_QUEUE);
  fillQueue(fd, octets, 0, octets.length, 'append to receive queue');
}

/**
 * Ends the silence: packets are let in, repair is left, and what was never sent goes out. From here the connection is
 * an ordinary one. With `probe` (see roomToProbe) a window probe goes out at once, whose answer brings the client's window
 * and timestamp up to date; without, the first segment that is sent anyway does.
 *
 * Returns how many bytes of `unsent` the send buffer took; the caller writes the others before anything else.
 */
export function goLive(fd: number, unsent: Buffer, probe: boolean): number {
  unfreeze(fd);
  must(setOption(fd, IPPROTO_TCP, TCP_REPAIR, probe ? REPAIR_OFF_PROBE : REPAIR_OFF_SILENT), 'leave repair');
  // Leaving repair clears it (net/ipv4/tcp.c), and then a restarting listener could not bind.
  must(setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1), 'set SO_REUSEADDR');
  if (unsent.length === 0) return 0;
  return Math.max(0, send(fd, unsent, unsent.length, MSG_DONTWAIT | MSG_NOSIGNAL));
}

/**
 * How many octets more a restored connection may receive before it should go live without a window probe; negative: it should
 * anyway. A probe's sequence number is an old one, so the client answers but does not take the window that it carries, while this
 * kernel believes it told. A client that has no window left would hear nothing more until it probes by itself, 200 ms later; then
 * silence is better, and the first read of the application brings the update.
 */
export function roomToProbe(bytes: Buffer, offset: number): number {
  return layout.windowLeft(bytes, offset) - bytes.readUInt16BE(offset + layout.MSS);
}

const NOTHING = Buffer.alloc(0);

/** A copy of the part of a checked snapshot that goLive needs: what the application wrote and nobody has sent yet. */
export function unsentPart(bytes: Buffer, offset: number, length: number): Buffer {
  const unsent = bytes.readUInt32BE(offset + layout.UNSENT_LENGTH);
  if (unsent === 0) return NOTHING;
  const end = offset + length - bytes.readUInt32BE(offset + layout.STATE_LENGTH);
  return Buffer.from(bytes.subarray(end - unsent, end));
}

/** A copy of what the application that had the connection before has left for the next one; undefined where that is nothing. */
export function statePart(bytes: Buffer, offset: number, length: number): Buffer | undefined {
  const state = bytes.readUInt32BE(offset + layout.STATE_LENGTH);
  return state === 0 ? undefined : Buffer.from(bytes.subarray(offset + length - state, offset + length));
}

/** Both queues start before their bytes: writing those moves the sequences to where they were. Only in TCP_CLOSE. */
function rewindSequences(fd: number, bytes: Buffer, offset: number): void {
  must(setOption(fd, IPPROTO_TCP, TCP_REPAIR, REPAIR_ON), 'set TCP_REPAIR', EPERM, 'not_permitted');
  const queued =
    bytes.readUInt32BE(offset + layout.SENT_LENGTH) + bytes.readUInt32BE(offset + layout.UNSENT_LENGTH);
  selectQueue(fd, SEND_QUEUE);
  setSequence(fd, bytes.readUInt32BE(offset + layout.SEND_SEQUENCE) - queued);
  selectQueue(fd, RECEIVE_QUEUE);
  const unread = bytes.readUInt32BE(offset + layout.RECEIVE_LENGTH);
  setSequence(fd, bytes.readUInt32BE(offset + layout.RECEIVE_SEQUENCE) - unread);
  // Before connect, or segments of 524 bytes go out until the client's next window update. The MSS option that follows
  // tells what the client takes at most: segments grow with its window.
  const mss = Math.min(layout.startingMss(bytes, offset), LARGEST_MAXSEG);
  must(setOption(fd, IPPROTO_TCP, TCP_MAXSEG, mss), 'set TCP_MAXSEG');
}

function setSequence(fd: number, sequence: number): void {
  must(setOptionU32(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, sequence >>> 0), 'set TCP_QUEUE_SEQ');
}

function selectQueue(fd: number, queue: number): void {
  must(setOption(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, queue), 'set TCP_REPAIR_QUEUE');
}

/** What was negotiated; only while nothing was sent. */
function setOptions(fd: number, bytes: Buffer, offset: number): void {
  const negotiated = bytes.readUInt8(offset + layout.OPTIONS);
  let length = putOption(0, KIND_MSS, bytes.readUInt16BE(offset + layout.MSS));
  // Also where no scaling was negotiated: connect has chosen a scale of its own, and windows would go out divided by it,
  // to a client that does not multiply. Scales of 0 are as good as none.
  const client = bytes.readUInt8(offset + layout.CLIENT_WINDOW_SCALE);
  const ours = bytes.readUInt8(offset + layout.OUR_WINDOW_SCALE);
  length = putOption(length, KIND_WINDOW, client + ours * 0x10000);
  if ((negotiated & layout.OPTION_SACK) !== 0) length = putOption(length, KIND_SACK_PERMITTED, 0);
  if ((negotiated & layout.OPTION_TIMESTAMPS) !== 0) length = putOption(length, KIND_TIMESTAMP, 0);
  must(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, length), 'set TCP_REPAIR_OPTIONS');

  if ((negotiated & layout.OPTION_TIMESTAMPS) === 0) return;
  const clock = layout.advancedClock(bytes.readUInt32BE(offset + layout.TIMESTAMP), CLOCK_AHEAD_MS);
  must(setOptionU32(fd, IPPROTO_TCP, TCP_TIMESTAMP, clock), 'set TCP_TIMESTAMP');
}

function putOption(at: number, kind: number, value: number): number {
  options.writeUInt32LE(kind, at);
  options.writeUInt32LE(value, at + 4);
  return at + OPTION_BYTES;
}

/** The receive queue is the one selected since the sequences were set. */
function fillQueues(fd: number, bytes: Buffer, offset: number): void {
  const unread = bytes.readUInt32BE(offset + layout.RECEIVE_LENGTH);
  const sent = bytes.readUInt32BE(offset + layout.SENT_LENGTH);
  const from = offset + layout.HEADER_BYTES;
  const crowded = unread > PLAIN_QUEUE_BYTES || sent > PLAIN_QUEUE_BYTES;
  if (unread > PLAIN_QUEUE_BYTES) {
    must(setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, unread * OVERHEAD_FACTOR), 'set SO_RCVBUFFORCE');
  }
  if (sent > PLAIN_QUEUE_BYTES) {
    must(setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, sent * OVERHEAD_FACTOR), 'set SO_SNDBUFFORCE');
  }
  if (unread > 0) fillQueue(fd, bytes, from, unread, 'fill receive queue');
  if (sent > 0) {
    selectQueue(fd, SEND_QUEUE);
    fillQueue(fd, bytes, from + unread, sent, 'fill send queue');
  }
  // Not known before Linux 5.14: the buffers then stay as they are, which costs throughput but no byte.
  if (crowded) setOption(fd, SOL_SOCKET, SO_BUF_LOCK, UNLOCK_BUFFERS);
}

/** One call takes what fits into 17 pages and a remainder (69,718 of 127,062 bytes seen): hence the loop. */
function fillQueue(fd: number, bytes: Buffer, from: number, length: number, step: string): void {
  for (let done = 0; done < length;) {
    const view = bytes.subarray(from + done, from + length);
    done += must(send(fd, view, length - done, MSG_DONTWAIT | MSG_NOSIGNAL), step);
  }
}

/** Last: the kernel checks it against the sequences, and a queue written short would show here as EINVAL. */
function setWindow(fd: number, bytes: Buffer, offset: number): void {
  for (let i = 0; i < layout.WINDOW_BYTES; i += 4) {
    window.writeUInt32LE(bytes.readUInt32BE(offset + layout.WINDOW + i), i);
  }
  must(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, window, layout.WINDOW_BYTES), 'set TCP_REPAIR_WINDOW');
}

/** Passes a result through, or throws: `code` when the errno is `special`, 'kernel' otherwise. */
function must(result: number, step: string, special = 0, code: RepairCode = 'kernel'): number {
  if (result < 0) throw new RepairError(-result === special ? code : 'kernel', step, -result);
  return result;
}
