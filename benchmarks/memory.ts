/** Memory out of /proc: of processes, and of the kernel. */
import { readFileSync, writeFileSync } from 'node:fs';

const PAGE_BYTES = 4096;

/** Octets of the processes that are in memory; what several share counts once (Pss in proc_pid_smaps(5)). */
export function residentBytes(pids: readonly number[]): number {
  let bytes = 0;
  for (const pid of pids) {
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    bytes += Number(/^Pss: +(\d+) kB$/m.exec(rollup)?.[1]) * 1024;
  }
  return bytes;
}

/** Where a socket, its file, its place in an epoll set and a map's entry are; `dentry` and `filp` are a file's name and itself. */
const CACHES_OF_SOCKETS =
  /^(TCP|TCPv6|request_sock_TCP|tcp_bind\w*|sock_inode_cache|dentry|filp|lsm_\w+|eventpoll_\w+|ep_head|skbuff_\w+|kmalloc-\S+)$/;

/**
 * Octets of the objects in those slabs of the kernel that hold sockets and entries of maps, each with its share of the slab. It is
 * of the whole machine. Slabs that are kept empty do not count, so what has come and gone before does not hide what comes; nor
 * do names that nobody uses and that are kept in case somebody asks again: whoever looks through /proc/PID/fd leaves one for
 * each connection. They are dropped first.
 */
export function slabBytes(): number {
  writeFileSync('/proc/sys/vm/drop_caches', '2');
  let bytes = 0;
  for (const line of readFileSync('/proc/slabinfo', 'latin1').split('\n')) {
    // name, active objects, objects, octets of one, objects of a slab, pages of a slab (slabinfo(5)).
    const [, name = '', active, perSlab, pages] = /^(\S+) +(\d+) +\d+ +\d+ +(\d+) +(\d+) :/.exec(line) ?? [];
    if (!CACHES_OF_SOCKETS.test(name)) continue;
    bytes += (Number(active) * Number(pages) * PAGE_BYTES) / Number(perSlab);
  }
  return bytes;
}
