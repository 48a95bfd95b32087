/**
 * The C library's system call wrappers, bound once.
 *
 * Every function returns what the call returned, or `-errno`: the hot path handles failures without exceptions, and
 * callers for whom failing is exceptional wrap the call in `must`.
 *
 * Buffers are passed as `void *`: koffi hands the kernel the Buffer's own memory for the length of the call, so a
 * preallocated Buffer costs no copy, and no address outlives the call that it is passed to.
 */
import koffi from 'koffi';
import { must } from './errors';

const libc = koffi.load('libc.so.6');

// Bound without naming types: a second load in the same process (a worker thread, a test) would clash with the name.
const raw = {
  socket: libc.func('int socket(int, int, int)') as (...a: number[]) => number,
  bind: libc.func('int bind(int, void *, uint32_t)') as (fd: number, a: Buffer, n: number) => number,
  connect: libc.func('int connect(int, void *, uint32_t)') as (fd: number, a: Buffer, n: number) => number,
  listen: libc.func('int listen(int, int)') as (...a: number[]) => number,
  accept4: libc.func('int accept4(int, void *, void *, int)') as (
    fd: number,
    address: Buffer,
    length: Buffer,
    flags: number,
  ) => number,
  getsockname: libc.func('int getsockname(int, void *, void *)') as (
    fd: number,
    address: Buffer,
    length: Buffer,
  ) => number,
  recv: libc.func('int64_t recv(int, void *, size_t, int)') as (
    fd: number,
    buffer: Buffer,
    length: number,
    flags: number,
  ) => number,
  send: libc.func('int64_t send(int, void *, size_t, int)') as (
    fd: number,
    buffer: Buffer,
    length: number,
    flags: number,
  ) => number,
  getsockopt: libc.func('int getsockopt(int, int, int, void *, void *)') as (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    length: Buffer,
  ) => number,
  setsockopt: libc.func('int setsockopt(int, int, int, void *, uint32_t)') as (
    fd: number,
    level: number,
    name: number,
    value: Buffer,
    length: number,
  ) => number,
  ioctl: libc.func('int ioctl(int, uint64_t, void *)') as (fd: number, request: number, a: Buffer) => number,
  close: libc.func('int close(int)') as (fd: number) => number,
  fcntl: libc.func('int fcntl(int, int, ...)') as (
    fd: number,
    command: number,
    type: 'int',
    argument: number,
  ) => number,
  epollCreate1: libc.func('int epoll_create1(int)') as (flags: number) => number,
  epollCtl: libc.func('int epoll_ctl(int, int, int, void *)') as (
    epoll: number,
    operation: number,
    fd: number,
    event: Buffer,
  ) => number,
  epollWait: libc.func('int epoll_wait(int, void *, int, int)') as (
    epoll: number,
    events: Buffer,
    capacity: number,
    timeoutMs: number,
  ) => number,
  setns: libc.func('int setns(int, int)') as (...a: number[]) => number,
  ifNameToIndex: libc.func('uint32_t if_nametoindex(str)') as (name: string) => number,
  getrlimit: libc.func('int getrlimit(int, void *)') as (resource: number, limit: Buffer) => number,
  setrlimit: libc.func('int setrlimit(int, void *)') as (resource: number, limit: Buffer) => number,
};

function answer(result: number): number {
  return result < 0 ? -koffi.errno() : result;
}

export const socket = (domain: number, type: number, protocol: number): number =>
  answer(raw.socket(domain, type, protocol));

export const bind = (fd: number, address: Buffer, length: number): number =>
  answer(raw.bind(fd, address, length));

export const connect = (fd: number, address: Buffer, length: number): number =>
  answer(raw.connect(fd, address, length));

export const listen = (fd: number, backlog: number): number => answer(raw.listen(fd, backlog));

export const accept4 = (fd: number, address: Buffer, length: Buffer, flags: number): number =>
  answer(raw.accept4(fd, address, length, flags));

export const getsockname = (fd: number, address: Buffer, length: Buffer): number =>
  answer(raw.getsockname(fd, address, length));

export const recv = (fd: number, buffer: Buffer, length: number, flags: number): number =>
  answer(raw.recv(fd, buffer, length, flags));

export const send = (fd: number, buffer: Buffer, length: number, flags: number): number =>
  answer(raw.send(fd, buffer, length, flags));

export const getsockopt = (fd: number, level: number, name: number, value: Buffer, length: Buffer): number =>
  answer(raw.getsockopt(fd, level, name, value, length));

export const setsockopt = (fd: number, level: number, name: number, value: Buffer, length: number): number =>
  answer(raw.setsockopt(fd, level, name, value, length));

export const ioctl = (fd: number, request: number, argument: Buffer): number =>
  answer(raw.ioctl(fd, request, argument));

export const close = (fd: number): number => answer(raw.close(fd));

/** Commands of fcntl(2) that take an integer. */
export const fcntl = (fd: number, command: number, argument: number): number =>
  answer(raw.fcntl(fd, command, 'int', argument));

export const epollCreate1 = (flags: number): number => answer(raw.epollCreate1(flags));

export const epollCtl = (epoll: number, operation: number, fd: number, event: Buffer): number =>
  answer(raw.epollCtl(epoll, operation, fd, event));

export const epollWait = (epoll: number, events: Buffer, capacity: number, timeoutMs: number): number =>
  answer(raw.epollWait(epoll, events, capacity, timeoutMs));

/** Takes the calling thread, and no other, into a namespace. */
export const setns = (fd: number, type: number): number => answer(raw.setns(fd, type));

/** Index of a network interface in this network namespace; 0 when there is none of that name. */
export const ifNameToIndex = (name: string): number => raw.ifNameToIndex(name);

const RLIMIT_NOFILE = 7;

/** Raises the soft limit of open files to the hard limit and returns it (getrlimit(2)). */
export function raiseFileLimit(): number {
  const limit = Buffer.alloc(16);
  must(answer(raw.getrlimit(RLIMIT_NOFILE, limit)), 'getrlimit');
  limit.writeBigUInt64LE(limit.readBigUInt64LE(8), 0);
  raw.setrlimit(RLIMIT_NOFILE, limit);
  raw.getrlimit(RLIMIT_NOFILE, limit);
  return Number(limit.readBigUInt64LE(0));
}
