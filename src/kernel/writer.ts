/**
 * Writing to a descriptor that somebody else gave us, without ever waiting for whoever reads it.
 *
 * Whether a write waits is a property of the open file description, and that is shared: a shell, a parent or a sibling may
 * write to the same pipe or terminal and rely on waiting. So each kind of file has its own way:
 *
 *     socket (the journal, a supervisor)    send with MSG_DONTWAIT
 *     pipe, FIFO, terminal                  a description of our own, by /proc/self/fd; where that is not allowed (a pipe of
 *                                           another user's, as containers have them) the shared one stops waiting
 *     regular file                          as it is: the page cache takes it, or says at once that the disk is full
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';
import * as libc from './libc';
import { MSG_DONTWAIT, MSG_NOSIGNAL } from './socket';

/** A write of at most this many bytes to a pipe is done as a whole or not at all, whoever else writes there (pipe(7)). */
export const PIPE_BUF = 4096;

/** ioctl_tty(2): switches O_NONBLOCK of a description. */
const FIONBIO = 0x5421;
const ON = Buffer.from(Int32Array.of(1).buffer);

/** Writes what fits now: the number of bytes, or `-errno`, -EAGAIN where none does. */
export type Write = (bytes: Buffer) => number;

export function openWriter(fd: number): Write {
  const stats = fstatSync(fd);
  if (stats.isSocket()) return (bytes) => libc.send(fd, bytes, bytes.length, MSG_DONTWAIT | MSG_NOSIGNAL);
  return writerOn(stats.isFile() ? fd : withoutWaiting(fd));
}

/** For a descriptor that is this process's own, and does not wait. */
export function writerOn(fd: number): Write {
  return (bytes) => {
    try {
      return writeSync(fd, bytes);
    } catch (error) {
      const { errno } = error as NodeJS.ErrnoException;
      if (errno === undefined) throw error;
      return errno;
    }
  };
}

function withoutWaiting(fd: number): number {
  try {
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    libc.ioctl(fd, FIONBIO, ON);
    return fd;
  }
}
