/** What a capture says about one IP packet; a TCP field of another protocol's packet is 0 or empty. */
export interface Packet {
  /** Microseconds since the epoch. */
  readonly time: number;
  readonly srcMac: string;
  readonly dstMac: string;
  readonly version: 4 | 6;
  readonly src: string;
  readonly dst: string;
  /** Time to live, or hop limit. */
  readonly ttl: number;
  /** IP protocol number: 6 is TCP. IPv6 extension headers are not followed. */
  readonly protocol: number;
  readonly sport: number;
  readonly dport: number;
  /** Letters of the set flags in the order FSRPAUEC: 'S', 'SA', 'PA', 'FPA'. */
  readonly flags: string;
  readonly seq: number;
  readonly ack: number;
  /** As sent, not scaled. */
  readonly window: number;
  /**
   * Bytes after the TCP header (after the IP header for other protocols), from the IP length and so independent of
   * how much was captured. Segmentation is left to the interface: it may be many times the MTU.
   */
  readonly payloadLength: number;
  readonly options: TcpOptions;
}

/** TCP options (RFC 9293 section 3.2, RFC 7323, RFC 2018); absent ones are undefined, `sackBlocks` is empty. */
export interface TcpOptions {
  readonly mss?: number;
  readonly windowScale?: number;
  readonly sackOk?: true;
  /** Left edge and right edge (exclusive) as sequence numbers. */
  readonly sackBlocks: readonly (readonly [number, number])[];
  readonly timestamp?: { readonly value: number; readonly echo: number };
}

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const ETHERNET_HEADER = 14;
const TCP = 6;

/** Where the IP header ended, and what it said. */
type IpHeader = Pick<Packet, 'version' | 'src' | 'dst' | 'ttl' | 'protocol'> & {
  end: number;
  totalLength: number;
};

/**
 * Reads a capture file of little-endian microsecond records over Ethernet (draft-ietf-opsawg-pcap), which is what
 * tcpdump writes here. Frames that are not IP and an unfinished last record are left out. Throws on other kinds of file.
 */
export function parsePcap(file: Buffer): Packet[] {
  const known = file.length >= FILE_HEADER && file.readUInt32LE(0) === MAGIC_MICROSECONDS;
  if (!known || file.readUInt32LE(20) !== LINKTYPE_ETHERNET)
    throw new Error('parse capture: not Ethernet in pcap');
  const packets: Packet[] = [];
  let at = FILE_HEADER;
  while (at + RECORD_HEADER <= file.length) {
    const time = file.readUInt32LE(at) * 1e6 + file.readUInt32LE(at + 4);
    const end = at + RECORD_HEADER + file.readUInt32LE(at + 8);
    if (end > file.length) break;
    const packet = parseFrame(time, file.subarray(at + RECORD_HEADER, end), file.readUInt32LE(at + 12));
    if (packet !== undefined) packets.push(packet);
    at = end;
  }
  return packets;
}

function parseFrame(time: number, frame: Buffer, originalLength: number): Packet | undefined {
  const ip = parseIp(
    frame.subarray(ETHERNET_HEADER),
    frame.readUInt16BE(12),
    originalLength - ETHERNET_HEADER,
  );
  if (ip === undefined) return undefined;
  const { end, totalLength, ...address } = ip;
  const macs = { srcMac: mac(frame.subarray(6, 12)), dstMac: mac(frame.subarray(0, 6)) };
  return {
    time,
    ...macs,
    ...address,
    ...parseTransport(frame.subarray(ETHERNET_HEADER + end), ip.protocol, totalLength - end),
  };
}

function parseIp(ip: Buffer, etherType: number, wireLength: number): IpHeader | undefined {
  if (etherType === 0x0800) {
    return {
      version: 4,
      src: ip.subarray(12, 16).join('.'),
      dst: ip.subarray(16, 20).join('.'),
      ttl: ip.readUInt8(8),
      protocol: ip.readUInt8(9),
      end: (ip.readUInt8(0) & 15) * 4,
      // Zero in a segment too large for the field, which is sent as several.
      totalLength: ip.readUInt16BE(2) || wireLength,
    };
  }
  if (etherType === 0x86dd) {
    return {
      version: 6,
      src: text6(ip.subarray(8, 24)),
      dst: text6(ip.subarray(24, 40)),
      ttl: ip.readUInt8(7),
      protocol: ip.readUInt8(6),
      end: 40,
      totalLength: ip.readUInt16BE(4) === 0 ? wireLength : ip.readUInt16BE(4) + 40,
    };
  }
  return undefined;
}

function parseTransport(segment: Buffer, protocol: number, length: number) {
  if (protocol !== TCP) {
    const none = { sport: 0, dport: 0, flags: '', seq: 0, ack: 0, window: 0 };
    return { ...none, payloadLength: length, options: { sackBlocks: [] } };
  }
  const headerLength = (segment.readUInt8(12) >> 4) * 4;
  return {
    sport: segment.readUInt16BE(0),
    dport: segment.readUInt16BE(2),
    seq: segment.readUInt32BE(4),
    ack: segment.readUInt32BE(8),
    flags: flagLetters(segment.readUInt8(13)),
    window: segment.readUInt16BE(14),
    payloadLength: length - headerLength,
    options: parseOptions(segment.subarray(20, headerLength)),
  };
}

function flagLetters(bits: number): string {
  return ['F', 'S', 'R', 'P', 'A', 'U', 'E', 'C'].filter((_, bit) => (bits & (1 << bit)) !== 0).join('');
}

function parseOptions(bytes: Buffer): TcpOptions {
  const found: { -readonly [K in keyof TcpOptions]: TcpOptions[K] } = { sackBlocks: [] };
  let at = 0;
  while (at < bytes.length && bytes[at] !== 0) {
    const kind = bytes.readUInt8(at);
    const length = kind === 1 ? 1 : bytes.readUInt8(at + 1);
    if (length < (kind === 1 ? 1 : 2))
      throw new Error(`parse capture: TCP option ${kind} of length ${length}`);
    if (kind === 2) found.mss = bytes.readUInt16BE(at + 2);
    if (kind === 3) found.windowScale = bytes.readUInt8(at + 2);
    if (kind === 4) found.sackOk = true;
    if (kind === 5) found.sackBlocks = sackBlocks(bytes.subarray(at + 2, at + length));
    if (kind === 8) found.timestamp = { value: bytes.readUInt32BE(at + 2), echo: bytes.readUInt32BE(at + 6) };
    at += length;
  }
  return found;
}

function sackBlocks(bytes: Buffer): [number, number][] {
  const blocks: [number, number][] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8)
    blocks.push([bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)]);
  return blocks;
}

function mac(bytes: Buffer): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/** A URL's host is an IPv6 address in its canonical form (RFC 5952), the one that configurations use. */
function text6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(group * 2).toString(16));
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
