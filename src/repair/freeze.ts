/**
 * Freeze and thaw: packets of one connection are dropped before its socket sees them.
 *
 * Repair mode alone does not stop reception: what arrives after the dump would be acknowledged and lost. A dropped
 * packet is only late, because the client sends it again, to whoever owns the connection then. The filter is eBPF, loaded
 * once and attached by descriptor: 0.6-0.95 µs. A process without CAP_BPF uses a classic one, which is compiled at every
 * attach (10 µs) and does the same.
 */
import { loadDropFilter } from '../kernel/bpf';
import { attachDropFilter } from '../kernel/drop-filter';
import { setOption, SO_ATTACH_BPF, SO_DETACH_FILTER, SOL_SOCKET } from '../kernel/socket';
import { RepairError } from './errors';

let dropFilter = -1;
let classic = false;

/** Loads the filter, so that a lacking capability shows at start, and returns its descriptor for other threads. */
export function prepareFreeze(): number {
  if (dropFilter < 0) dropFilter = loadDropFilter();
  return dropFilter;
}

/** Uses the filter that another thread of this process has loaded. */
export function useFreezeFilter(descriptor: number): void {
  dropFilter = descriptor;
}

/**
 * For a process that can do without CAP_BPF: loads the filter, or turns to the classic one and returns why. Whatever the
 * reason (no capability, a seccomp filter, no libbpf), the classic filter is as good, only slower.
 */
export function prepareAnyFreeze(): string | undefined {
  try {
    prepareFreeze();
    return undefined;
  } catch (error) {
    classic = true;
    return error instanceof Error ? error.message : String(error);
  }
}

export function freeze(fd: number): void {
  const result = classic ? attachDropFilter(fd) : setOption(fd, SOL_SOCKET, SO_ATTACH_BPF, prepareFreeze());
  if (result < 0) throw new RepairError('kernel', 'freeze: attach filter', -result);
}

/** The undo of freeze. */
export function unfreeze(fd: number): void {
  const result = setOption(fd, SOL_SOCKET, SO_DETACH_FILTER, 0);
  if (result < 0) throw new RepairError('kernel', 'unfreeze: detach filter', -result);
}
