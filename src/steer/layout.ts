/**
 * The structures of steer.bpf.c as user space sees them, in host byte order (Linux on x86-64 and arm64 is little
 * endian). `struct flow`, the value of the flow table:
 *
 *    0  next hop, 16 bytes; IPv4 as ::ffff:a.b.c.d
 *   16  interface index
 *   20  backend number
 *   24  handoff id
 *   32  created, ns on CLOCK_MONOTONIC
 *   40  last seen, likewise
 *   48  packets
 *   56  bytes
 *   64  sequence number of the client's last packet, network order
 *   68  its acknowledgement number, network order
 *   72  sequence number of its SYN, network order
 *   76  4 bytes of padding
 */
export const FLOW_VALUE_BYTES = 80;
export const NEXT_HOP = 0;
export const IFINDEX = 16;
export const BACKEND = 20;
export const HANDOFF = 24;
export const CREATED = 32;
export const LAST_SEEN = 40;
export const PACKETS = 48;
export const BYTES = 56;
export const CLIENT_SEQUENCE = 64;
export const CLIENT_ACKNOWLEDGED = 68;
export const CLIENT_INITIAL = 72;

/**
 * `struct review`, a question about a handoff and its answer; ETH_HEADER_BYTES of nothing come before the first:
 *
 *    0  flow
 *   36  backend number; NO_BACKEND where there is no entry of this handoff
 *   40  handoff id
 *   48  asked: entries whose last packet came before this go; answered: when it came, 0 if the entry is gone
 */
export const REVIEW_BYTES = 56;
export const REVIEW_BACKEND = 36;
export const REVIEW_HANDOFF = 40;
export const REVIEW_SEEN = 48;
export const NO_BACKEND = 0xffffffff;
export const MOST_REVIEWS = 64;
export const ETH_HEADER_BYTES = 14;

/** `struct counters`: packets, bytes. */
export const COUNTERS_BYTES = 16;
export const MAX_BACKENDS = 4096;
export const BACKEND_NAME_BYTES = 128;
/** enum drop, in its order. */
export const DROP_REASONS = ['ttl'] as const;

const WORD = 0x1_0000_0000;

/** Writes a non-negative integer below 2^53 as 64 bits, without a BigInt. */
export function writeU64(target: Buffer, value: number, offset: number): void {
  target.writeUInt32LE((value % WORD) >>> 0, offset);
  target.writeUInt32LE(Math.floor(value / WORD), offset + 4);
}

/** Reads 64 bits as a number: exact below 2^53, which is 104 days in nanoseconds and 9 petabytes. */
export function readU64(source: Buffer, offset: number): number {
  return source.readUInt32LE(offset) + source.readUInt32LE(offset + 4) * WORD;
}
