/**
 * A classic socket filter that drops every packet, for a process that may not load eBPF (which takes CAP_BPF): attaching it
 * takes no more than the CAP_NET_ADMIN that TCP_REPAIR takes anyway. The kernel translates and compiles a classic filter at
 * every attach, which costs 10 µs where a loaded eBPF program costs 1 (measured on Linux 6.18).
 */
import koffi from 'koffi';
import { setsockopt } from './libc';
import { SOL_SOCKET } from './socket';

const SO_ATTACH_FILTER = 26;

// struct sock_fprog: the number of instructions and, 8 bytes on, their address. Behind it lies the one instruction,
// struct sock_filter: code, two jump offsets, constant (include/uapi/linux/filter.h).
const FPROG_BYTES = 16;
const ADDRESS = 8;
const INSTRUCTION_BYTES = 8;
/** "Return a constant": how much of the packet to keep, here nothing. */
const BPF_RET_K = 0x06;

let program: Buffer | undefined;

/**
 * The kernel follows an address that stands inside this memory, and no garbage collector knows of that: it is allocated
 * outside of JavaScript and never freed.
 */
function dropEverything(): Buffer {
  const bytes = FPROG_BYTES + INSTRUCTION_BYTES;
  const memory: unknown = koffi.alloc('uint8_t', bytes);
  const view = Buffer.from(koffi.view(memory, bytes)).fill(0);
  view.writeUInt16LE(1, 0);
  view.writeBigUInt64LE(koffi.address(memory) + BigInt(FPROG_BYTES), ADDRESS);
  view.writeUInt16LE(BPF_RET_K, FPROG_BYTES);
  return view;
}

/** Makes a socket drop every packet that comes in: 0 or `-errno`. SO_DETACH_FILTER is the undo. */
export function attachDropFilter(fd: number): number {
  program ??= dropEverything();
  return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, program, FPROG_BYTES);
}
