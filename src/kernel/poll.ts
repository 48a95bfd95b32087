/**
 * Readiness of descriptors. Node's own loop watches one epoll descriptor per acceptor, level-triggered; inside it,
 * descriptors may be edge-triggered, which libuv cannot do and which peeking needs: the data stays in the queue, so a
 * level-triggered watch would spin until the head is complete.
 */
import koffi from 'koffi';
import { EEXIST, EINTR, KernelError, must } from './errors';
import * as libc from './libc';

const EPOLL_CLOEXEC = 0o2000000;
const EPOLL_CTL_ADD = 1;
const EPOLL_CTL_DEL = 2;
export const EPOLLIN = 0x001;
export const EPOLLERR = 0x008;
export const EPOLLHUP = 0x010;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = 0x80000000;

// `struct epoll_event` is packed on x86-64 only (include/uapi/linux/eventpoll.h).
const EVENT_BYTES = process.arch === 'x64' ? 12 : 16;
const DATA_OFFSET = EVENT_BYTES - 8;

/** Ready descriptors read per system call: bounds a turn of the loop, more stay ready for the next one. */
const EVENTS_PER_WAIT = 256;

/** Stops a watch; idempotent. */
export type Unwatch = () => void;

/**
 * Calls `callback` from Node's event loop whenever `fd` is readable (level-triggered). koffi's poll is undocumented
 * upstream: this is its only use.
 */
export function watchReadable(fd: number, callback: () => void): Unwatch {
  let stopped = false;
  // The declared callback type is wrong: it is called with (status, events).
  const handle = koffi.node.poll(fd, { readable: true }, () => {
    if (!stopped) callback();
  });
  return () => {
    if (stopped) return;
    stopped = true;
    handle.stop();
    handle.close();
  };
}

/** An epoll instance with a preallocated event array. */
export class Epoll {
  readonly #fd = must(libc.epollCreate1(EPOLL_CLOEXEC), 'epoll_create1');
  readonly #events = Buffer.alloc(EVENT_BYTES * EVENTS_PER_WAIT);
  readonly #event = Buffer.alloc(EVENT_BYTES);

  /**
   * Adds `fd` for `events` (EPOLLIN and so on); an fd that is there already is left as it is. `tag` comes back with every
   * event: it tells an event from one of another file that had the same number when it was collected.
   */
  add(fd: number, events: number, tag = 0): void {
    this.#event.writeUInt32LE(events >>> 0, 0);
    this.#event.writeInt32LE(fd, DATA_OFFSET);
    this.#event.writeUInt32LE(tag, DATA_OFFSET + 4);
    const result = libc.epollCtl(this.#fd, EPOLL_CTL_ADD, fd, this.#event);
    if (result < 0 && result !== -EEXIST) throw new KernelError('epoll_ctl add', -result);
  }

  remove(fd: number): void {
    libc.epollCtl(this.#fd, EPOLL_CTL_DEL, fd, this.#event);
  }

  /** Calls `ready` for each descriptor that is ready now, without waiting; returns how many there were. */
  drain(ready: (fd: number, events: number, tag: number) => void): number {
    const count = libc.epollWait(this.#fd, this.#events, EVENTS_PER_WAIT, 0);
    if (count === -EINTR) return 0;
    if (count < 0) throw new KernelError('epoll_wait', -count);
    for (let i = 0; i < count; i++) {
      const at = i * EVENT_BYTES;
      ready(
        this.#events.readInt32LE(at + DATA_OFFSET),
        this.#events.readUInt32LE(at),
        this.#events.readUInt32LE(at + DATA_OFFSET + 4),
      );
    }
    return count;
  }

  /** Watches the whole instance from Node's loop. */
  watch(callback: () => void): Unwatch {
    return watchReadable(this.#fd, callback);
  }

  close(): void {
    libc.close(this.#fd);
  }
}
