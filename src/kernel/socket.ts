/**
 * Sockets by descriptor. Results are values or `-errno`, nothing is allocated per call: integers travel through
 * scratch cells that belong to this module (one per thread, since each worker loads its own copy).
 */
import { must } from './errors';
import { SOCKADDR_BYTES, sockaddrFromEndpoint } from './flow';
import * as libc from './libc';

export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_OOBINLINE = 10;
const SO_LINGER = 13;
export const SO_REUSEPORT = 15;
export const SO_DETACH_FILTER = 27;
export const SO_SNDBUFFORCE = 32;
export const SO_RCVBUFFORCE = 33;
export const SO_ATTACH_BPF = 50;
export const SO_BUF_LOCK = 72;

export const IPPROTO_TCP = 6;
export const TCP_MAXSEG = 2;
export const TCP_DEFER_ACCEPT = 9;
export const TCP_INFO = 11;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_REPAIR_OPTIONS = 22;
export const TCP_TIMESTAMP = 24;
export const TCP_REPAIR_WINDOW = 29;

const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;

export const MSG_PEEK = 0x02;
export const MSG_DONTWAIT = 0x40;
export const MSG_NOSIGNAL = 0x4000;

const SIOCINQ = 0x541b;
const SIOCOUTQ = 0x5411;
const SIOCOUTQNSD = 0x894b;

const cell = Buffer.alloc(4);
const lengthCell = Buffer.alloc(4);

/** Sets an integer option: 0 or `-errno`. */
export function setOption(fd: number, level: number, name: number, value: number): number {
  cell.writeInt32LE(value, 0);
  return libc.setsockopt(fd, level, name, cell, 4);
}

/** Sets an unsigned 32-bit option such as a sequence number: 0 or `-errno`. */
export function setOptionU32(fd: number, level: number, name: number, value: number): number {
  cell.writeUInt32LE(value, 0);
  return libc.setsockopt(fd, level, name, cell, 4);
}

/** Reads an option into `value`, whose first `length` bytes are offered to the kernel: 0 or `-errno`. */
export function getOption(fd: number, level: number, name: number, value: Buffer, length: number): number {
  lengthCell.writeUInt32LE(length, 0);
  return libc.getsockopt(fd, level, name, value, lengthCell);
}

const linger = Buffer.alloc(8);

/** How long close(2) goes on sending in the background, seconds; 0 makes it send a RST (socket(7)). 0 or `-errno`. */
export function setLinger(fd: number, seconds: number): number {
  linger.writeInt32LE(1, 0);
  linger.writeInt32LE(seconds, 4);
  return libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, 8);
}

/** Unread bytes in the receive queue, or `-errno` (tcp(7), SIOCINQ). */
export function unreadBytes(fd: number): number {
  const result = libc.ioctl(fd, SIOCINQ, cell);
  return result < 0 ? result : cell.readInt32LE(0);
}

/** Bytes in the send queue that the peer has not acknowledged, sent or not, or `-errno` (SIOCOUTQ). */
export function unacknowledgedBytes(fd: number): number {
  const result = libc.ioctl(fd, SIOCOUTQ, cell);
  return result < 0 ? result : cell.readInt32LE(0);
}

/** Bytes in the send queue that were never sent, or `-errno` (SIOCOUTQNSD). */
export function unsentBytes(fd: number): number {
  const result = libc.ioctl(fd, SIOCOUTQNSD, cell);
  return result < 0 ? result : cell.readInt32LE(0);
}

/**
 * Accepts one connection, non-blocking and close-on-exec, and writes the peer's address into `peer`
 * (SOCKADDR_BYTES). Returns its descriptor or `-errno`.
 */
export function accept(listener: number, peer: Buffer): number {
  lengthCell.writeUInt32LE(SOCKADDR_BYTES, 0);
  return libc.accept4(listener, peer, lengthCell, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

/** Writes the socket's own address into `sockaddr` (SOCKADDR_BYTES): 0 or `-errno`. */
export function localAddress(fd: number, sockaddr: Buffer): number {
  lengthCell.writeUInt32LE(SOCKADDR_BYTES, 0);
  return libc.getsockname(fd, sockaddr, lengthCell);
}

export interface BindOptions {
  readonly host: string;
  readonly port: number;
  /** Seconds for which the kernel keeps a connection to itself until its first bytes arrive; 0 switches it off. */
  readonly deferAccept: number;
  /** Whether other sockets of this user may listen at the same address (SO_REUSEPORT). */
  readonly shared: boolean;
}

/** Opens a non-blocking socket that `startListening` can be called for; throws a KernelError that names the step. */
export function bindTo({ host, port, deferAccept, shared }: BindOptions): number {
  const sockaddr = Buffer.alloc(SOCKADDR_BYTES);
  const length = sockaddrFromEndpoint(host, port, sockaddr);
  const family = length === SOCKADDR_BYTES ? AF_INET6 : AF_INET;
  const fd = must(libc.socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), 'socket');
  try {
    if (family === AF_INET6) must(setOption(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1), 'set IPV6_V6ONLY');
    must(setOption(fd, SOL_SOCKET, SO_REUSEADDR, 1), 'set SO_REUSEADDR');
    if (shared) must(setOption(fd, SOL_SOCKET, SO_REUSEPORT, 1), 'set SO_REUSEPORT');
    setListenerOptions(fd, deferAccept);
    must(libc.bind(fd, sockaddr, length), `bind ${host}:${port}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** What accepted connections need, on a listening socket of whatever origin; throws a KernelError that names the step. */
export function setListenerOptions(fd: number, deferAccept: number): void {
  // Accepted sockets inherit it. Without it an urgent byte leaves the stream, SIOCINQ stops in front of it, and a
  // dump would take the bytes up to there for the whole queue (net/ipv4/tcp.c, tcp_inq).
  must(setOption(fd, SOL_SOCKET, SO_OOBINLINE, 1), 'set SO_OOBINLINE');
  must(setOption(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, deferAccept), 'set TCP_DEFER_ACCEPT');
}

/** Makes a bound socket listen, or gives one that listens already another backlog; throws a KernelError. */
export function startListening(fd: number, backlog: number, address: string): void {
  must(libc.listen(fd, backlog), `listen ${address}`);
}

export interface ListenOptions extends Omit<BindOptions, 'shared'> {
  readonly backlog: number;
}

/** Opens a non-blocking listening socket; throws a KernelError that names the step. */
export function listenOn({ backlog, ...options }: ListenOptions): number {
  const fd = bindTo({ ...options, shared: true });
  try {
    startListening(fd, backlog, `${options.host}:${options.port}`);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

// struct tcp_info (include/uapi/linux/tcp.h), its beginning.
const LAST_DATA_RECEIVED = 52;
const TIMES_BYTES = 60;
const times = Buffer.alloc(TIMES_BYTES);

/** Milliseconds since a TCP socket has received data, by the kernel's clock; `-errno` where it cannot be told. */
export function sinceReceived(fd: number): number {
  const result = getOption(fd, IPPROTO_TCP, TCP_INFO, times, TIMES_BYTES);
  return result < 0 ? result : times.readUInt32LE(LAST_DATA_RECEIVED);
}
