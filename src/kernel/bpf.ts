/**
 * eBPF through libbpf: loading and pinning programs and maps, attaching at tc, and the map operations.
 *
 * libbpf is a system package (Debian: libbpf1), loaded when first needed: a machine without it can still run `check`.
 * Its functions return 0, a descriptor or `-errno`; libbpf's own explanation of a failure (the verifier's, mostly) is
 * collected and put into the error.
 */
import { isMainThread } from 'node:worker_threads';
import koffi, { type LibraryHandle } from 'koffi';
import { adviceOnCapabilities, type Capability } from './capabilities';
import { EACCES, EEXIST, ENOENT, EPERM, KernelError } from './errors';
import { close } from './libc';

type Handle = unknown;

function bindLibbpf() {
  let library: LibraryHandle;
  try {
    library = koffi.load('libbpf.so.1');
  } catch (cause) {
    throw new Error('load libbpf.so.1: not found (install the package libbpf1, or run deploy/setup.sh)', {
      cause,
    });
  }
  const bound = {
    objectOpen: library.func('void *bpf_object__open_file(str, void *)') as (path: string, o: null) => Handle,
    objectLoad: library.func('int bpf_object__load(void *)') as (object: Handle) => number,
    objectClose: library.func('void bpf_object__close(void *)') as (object: Handle) => void,
    findMap: library.func('void *bpf_object__find_map_by_name(void *, str)') as (
      o: Handle,
      n: string,
    ) => Handle,
    findProgram: library.func('void *bpf_object__find_program_by_name(void *, str)') as (
      object: Handle,
      name: string,
    ) => Handle,
    mapFd: library.func('int bpf_map__fd(void *)') as (map: Handle) => number,
    mapReuseFd: library.func('int bpf_map__reuse_fd(void *, int)') as (map: Handle, fd: number) => number,
    mapSetMaxEntries: library.func('int bpf_map__set_max_entries(void *, uint32_t)') as (
      map: Handle,
      count: number,
    ) => number,
    mapPin: library.func('int bpf_map__pin(void *, str)') as (map: Handle, path: string) => number,
    programFd: library.func('int bpf_program__fd(void *)') as (program: Handle) => number,
    objGet: library.func('int bpf_obj_get(str)') as (path: string) => number,
    objPin: library.func('int bpf_obj_pin(int, str)') as (fd: number, path: string) => number,
    objInfo: library.func('int bpf_obj_get_info_by_fd(int, void *, void *)') as (
      fd: number,
      info: Buffer,
      length: Buffer,
    ) => number,
    update: library.func('int bpf_map_update_elem(int, void *, void *, uint64_t)') as (
      fd: number,
      key: Buffer,
      value: Buffer,
      flags: number,
    ) => number,
    lookup: library.func('int bpf_map_lookup_elem(int, void *, void *)') as (
      fd: number,
      key: Buffer,
      value: Buffer,
    ) => number,
    remove: library.func('int bpf_map_delete_elem(int, void *)') as (fd: number, key: Buffer) => number,
    lookupBatch: library.func(
      'int bpf_map_lookup_batch(int, void *, void *, void *, void *, void *, void *)',
    ) as (
      fd: number,
      cursor: Buffer | null,
      next: Buffer,
      keys: Buffer,
      values: Buffer,
      count: Buffer,
      options: null,
    ) => number,
    programLoad: library.func('int bpf_prog_load(int, str, str, void *, size_t, void *)') as (
      type: number,
      name: string,
      license: string,
      instructions: Buffer,
      count: number,
      options: null,
    ) => number,
    possibleCpus: library.func('int libbpf_num_possible_cpus()') as () => number,
    testRun: library.func('int bpf_prog_test_run_opts(int, void *)') as (
      fd: number,
      options: Buffer,
    ) => number,
    tcHookCreate: library.func('int bpf_tc_hook_create(void *)') as (hook: Buffer) => number,
    tcAttach: library.func('int bpf_tc_attach(void *, void *)') as (hook: Buffer, options: Buffer) => number,
    tcDetach: library.func('int bpf_tc_detach(void *, void *)') as (hook: Buffer, options: Buffer) => number,
    setPrint: library.func('void *libbpf_set_print(void *)') as (callback: bigint) => unknown,
  };
  // One callback serves the process, and one of a thread that has ended would be called all the same.
  if (isMainThread) collectExplanations(bound.setPrint);
  return bound;
}

let bound: ReturnType<typeof bindLibbpf> | undefined;
const libbpf = (): ReturnType<typeof bindLibbpf> => (bound ??= bindLibbpf());

/** libbpf's latest lines of explanation: enough for the end of a verifier log, bounded for a chatty failure. */
const explanations: string[] = [];
const EXPLANATION_LINES = 40;
const PRINT_BYTES = 4096;

function collectExplanations(setPrint: (callback: bigint) => unknown): void {
  const vsnprintf = koffi.load('libc.so.6').func('int vsnprintf(void *, size_t, void *, void *)');
  const line = Buffer.alloc(PRINT_BYTES);
  const LIBBPF_WARN = 0;
  const print = (level: number, format: unknown, args: unknown): number => {
    if (level !== LIBBPF_WARN) return 0;
    const written = vsnprintf(line, line.length, format, args) as number;
    explanations.push(line.toString('latin1', 0, Math.max(0, Math.min(written, line.length - 1))).trim());
    if (explanations.length > EXPLANATION_LINES) explanations.shift();
    return written;
  };
  // Never unregistered: libbpf keeps the pointer for as long as the process lives.
  setPrint(koffi.register(print, koffi.pointer(koffi.proto('int', ['int', 'void *', 'void *']))));
}

/** A failure of libbpf, with what libbpf said about it. */
export class BpfError extends KernelError {
  readonly explanation: readonly string[];

  constructor(step: string, errno: number, hint: string) {
    const said = explanations.splice(0).filter((text) => text !== '');
    super(step, errno, [hint, said.at(-1) ?? ''].filter((text) => text !== '').join('; '));
    this.name = 'BpfError';
    this.explanation = said;
  }
}

function mustBpf(result: number, step: string, hint = ''): number {
  if (result < 0) throw new BpfError(step, -result, hint);
  return result;
}

/** The same for a step that the kernel refuses to whoever lacks a capability. */
function mustBeAllowed(result: number, step: string, ...needed: readonly Capability[]): number {
  return mustBpf(result, step, result === -EPERM ? adviceOnCapabilities(...needed) : '');
}

export interface MapInfo {
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly maxEntries: number;
}

// struct bpf_map_info: type, id, key_size, value_size, max_entries, ... (include/uapi/linux/bpf.h).
const INFO_BYTES = 24;

export function mapInfo(fd: number): MapInfo {
  const info = Buffer.alloc(INFO_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(INFO_BYTES, 0);
  mustBpf(libbpf().objInfo(fd, info, length), 'read map info');
  return {
    keyBytes: info.readUInt32LE(8),
    valueBytes: info.readUInt32LE(12),
    maxEntries: info.readUInt32LE(16),
  };
}

/** Pins belong to the user that made them and are closed to all others. */
const PRIVATE = 'another user has pinned it: run as that user, or chown the directory and what is in it';

/** Opens a pinned map or program; undefined when nothing is pinned there. */
export function openPinned(path: string): number | undefined {
  const fd = libbpf().objGet(path);
  if (fd === -ENOENT) return undefined;
  return mustBpf(fd, `open pinned ${path}`, fd === -EACCES ? PRIVATE : '');
}

/** A loaded eBPF object file. Descriptors belong to it and are valid until `close`. */
export class BpfObject {
  readonly #object: Handle;

  private constructor(object: Handle) {
    this.#object = object;
  }

  /** Reads an object file; `load` puts it into the kernel. */
  static open(path: string): BpfObject {
    const object = libbpf().objectOpen(path, null);
    if (object === null) throw new BpfError(`open ${path}`, koffi.errno(), 'run npm run build');
    return new BpfObject(object);
  }

  /** Before load: uses an existing map, with its size, in place of the one that the file describes. */
  reuseMap(name: string, fd: number): void {
    mustBpf(libbpf().mapReuseFd(this.#map(name), fd), `reuse map ${name}`);
  }

  /** Before load. */
  setMaxEntries(name: string, count: number): void {
    mustBpf(libbpf().mapSetMaxEntries(this.#map(name), count), `size map ${name}`);
  }

  load(): void {
    // CAP_PERFMON is not needed: with it the kernel leaves out barriers against Spectre, and a packet takes 90 ns, not 145.
    mustBeAllowed(libbpf().objectLoad(this.#object), 'load eBPF object', 'CAP_BPF', 'CAP_NET_ADMIN');
  }

  mapFd(name: string): number {
    return mustBpf(libbpf().mapFd(this.#map(name)), `map ${name}`);
  }

  pinMap(name: string, path: string): void {
    mustBpf(libbpf().mapPin(this.#map(name), path), `pin map ${path}`, 'is a bpf file system mounted there?');
  }

  programFd(name: string): number {
    const program = libbpf().findProgram(this.#object, name);
    if (program === null) throw new BpfError(`find program ${name}`, ENOENT, '');
    return mustBpf(libbpf().programFd(program), `program ${name}`);
  }

  close(): void {
    libbpf().objectClose(this.#object);
  }

  #map(name: string): Handle {
    const map = libbpf().findMap(this.#object, name);
    if (map === null) throw new BpfError(`find map ${name}`, ENOENT, '');
    return map;
  }
}

/** Pins a program's or map's descriptor to a path in a bpf file system. */
export function pin(fd: number, path: string): void {
  mustBpf(libbpf().objPin(fd, path), `pin ${path}`, 'is a bpf file system mounted there?');
}

// struct bpf_tc_hook and struct bpf_tc_opts (bpf/libbpf.h), both padded to 8 bytes.
const TC_HOOK_BYTES = 24;
const TC_OPTS_BYTES = 32;
const BPF_TC_INGRESS = 1;
const BPF_TC_F_REPLACE = 1;
/** One filter slot is Baton's; other programs on the interface have their own. */
const TC_HANDLE = 1;
const TC_PRIORITY = 1;

function tcHook(ifindex: number): Buffer {
  const hook = Buffer.alloc(TC_HOOK_BYTES);
  hook.writeBigUInt64LE(BigInt(TC_HOOK_BYTES), 0);
  hook.writeInt32LE(ifindex, 8);
  hook.writeInt32LE(BPF_TC_INGRESS, 12);
  return hook;
}

function tcSlot(programFd: number, flags: number): Buffer {
  const options = Buffer.alloc(TC_OPTS_BYTES);
  options.writeBigUInt64LE(BigInt(TC_OPTS_BYTES), 0);
  options.writeInt32LE(programFd, 8);
  options.writeUInt32LE(flags, 12);
  options.writeUInt32LE(TC_HANDLE, 20);
  options.writeUInt32LE(TC_PRIORITY, 24);
  return options;
}

/**
 * Attaches a program at tc clsact ingress, in place of an earlier one of ours, atomically: no packet passes without
 * one of the two (net/sched/cls_bpf.c).
 */
export function attachIngress(ifindex: number, programFd: number): void {
  const hook = tcHook(ifindex);
  const created = libbpf().tcHookCreate(hook);
  if (created === -EPERM) mustBeAllowed(created, 'create clsact qdisc', 'CAP_NET_ADMIN');
  if (created !== -EEXIST) mustBpf(created, 'create clsact qdisc', 'needs CONFIG_NET_SCH_INGRESS');
  explanations.length = 0;
  const attached = libbpf().tcAttach(hook, tcSlot(programFd, BPF_TC_F_REPLACE));
  mustBpf(attached, 'attach the steering program at tc ingress', 'needs CONFIG_NET_CLS_BPF');
}

/** Takes our program off tc ingress. The clsact qdisc stays: others may use it. */
export function detachIngress(ifindex: number): void {
  mustBpf(libbpf().tcDetach(tcHook(ifindex), tcSlot(0, 0)), 'detach the steering program from tc ingress');
}

/** BPF_ANY: create or overwrite. */
const BPF_ANY = 0;
const BPF_EXIST = 2;

/** 0 or `-errno`; -E2BIG when the map is full. */
export function mapUpdate(fd: number, key: Buffer, value: Buffer): number {
  return libbpf().update(fd, key, value, BPF_ANY);
}

/** As mapUpdate, but only where there is an entry: -ENOENT else. */
export function mapReplace(fd: number, key: Buffer, value: Buffer): number {
  return libbpf().update(fd, key, value, BPF_EXIST);
}

/** 0, or -ENOENT and so on. */
export function mapLookup(fd: number, key: Buffer, value: Buffer): number {
  return libbpf().lookup(fd, key, value);
}

/** 0, or -ENOENT and so on. */
export function mapDelete(fd: number, key: Buffer): number {
  return libbpf().remove(fd, key);
}

/** CPUs for which a per-CPU map has a value each. */
export function possibleCpus(): number {
  return mustBpf(libbpf().possibleCpus(), 'count CPUs');
}

/** Entries read per system call when a map is walked: about 600 KB of buffers, a fraction of a millisecond each. */
const BATCH = 4096;

/** Visits an entry with buffers and offsets that are valid during the call only. */
export type VisitEntry = (keys: Buffer, keyOffset: number, values: Buffer, valueOffset: number) => void;

/**
 * A walk over a hash map, some thousand entries at a time. Entries that come or go meanwhile may or may not be seen, however
 * long the walk takes: its place is the number of a bucket (__htab_map_lookup_and_delete_batch in kernel/bpf/hashtab.c).
 */
export class MapWalk {
  readonly #keys: Buffer;
  readonly #values: Buffer;
  readonly #count = Buffer.alloc(4);
  readonly #place = Buffer.alloc(8);
  #begun = false;

  constructor(
    private readonly fd: number,
    private readonly info: MapInfo,
  ) {
    this.#keys = Buffer.alloc(info.keyBytes * BATCH);
    this.#values = Buffer.alloc(info.valueBytes * BATCH);
  }

  /** Visits the next entries; false when there are none behind them. */
  next(visit: VisitEntry): boolean {
    const { keyBytes, valueBytes } = this.info;
    const [keys, values, count, place] = [this.#keys, this.#values, this.#count, this.#place];
    count.writeUInt32LE(BATCH, 0);
    const from = this.#begun ? place : null;
    const result = libbpf().lookupBatch(this.fd, from, place, keys, values, count, null);
    if (result < 0 && result !== -ENOENT) throw new BpfError('walk over map', -result, '');
    this.#begun = true;
    const found = count.readUInt32LE(0);
    for (let i = 0; i < found; i++) visit(keys, i * keyBytes, values, i * valueBytes);
    // ENOENT is how the kernel says that this was the last batch.
    return result !== -ENOENT;
  }
}

// struct bpf_test_run_opts (bpf/bpf.h): its own size, both data pointers and their sizes, and much that stays 0.
const TEST_RUN_BYTES = 80;
const TEST_RUN_IN = 8;
const TEST_RUN_OUT = 16;
const TEST_RUN_SIZE_IN = 24;
const TEST_RUN_SIZE_OUT = 28;

/** A packet on which a tc program is run by hand (BPF_PROG_TEST_RUN), and which has what the program wrote to it afterwards. */
export class TestPacket {
  /** The kernel takes no more than a page, less what it puts around the packet (bpf_test_init, net/bpf/test_run.c). */
  readonly bytes: Buffer;
  readonly #options = Buffer.alloc(TEST_RUN_BYTES);

  constructor(
    private readonly programFd: number,
    length: number,
  ) {
    // Memory of its own, that the options may point to for as long as this object lives.
    this.bytes = Buffer.from(new ArrayBuffer(length));
    const address = koffi.address(this.bytes);
    this.#options.writeBigUInt64LE(BigInt(TEST_RUN_BYTES), 0);
    this.#options.writeBigUInt64LE(address, TEST_RUN_IN);
    this.#options.writeBigUInt64LE(address, TEST_RUN_OUT);
  }

  /** Runs the program on the first `length` bytes: 0 or `-errno`; it takes memory, which may have run out. */
  run(length: number): number {
    this.#options.writeUInt32LE(length, TEST_RUN_SIZE_IN);
    this.#options.writeUInt32LE(length, TEST_RUN_SIZE_OUT);
    return libbpf().testRun(this.programFd, this.#options);
  }
}

const BPF_PROG_TYPE_SOCKET_FILTER = 1;

/** Loads a socket filter that drops every packet (`r0 = 0; exit`) and returns its descriptor. */
export function loadDropFilter(): number {
  // struct bpf_insn: opcode, registers, offset, immediate. 0xb7 is "mov r0, imm", 0x95 is "exit".
  const instructions = Buffer.from('b700000000000000' + '9500000000000000', 'hex');
  const loaded = libbpf().programLoad(
    BPF_PROG_TYPE_SOCKET_FILTER,
    'baton_freeze',
    'Apache-2.0',
    instructions,
    2,
    null,
  );
  return mustBeAllowed(loaded, 'load the freeze filter', 'CAP_BPF');
}

/** Closes a descriptor that `openPinned` gave out. */
export function closePinned(fd: number): void {
  close(fd);
}
