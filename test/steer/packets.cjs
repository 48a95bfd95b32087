// Frames made and read octet by octet, so that nothing of what the kernel does to them goes unseen.
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd };
const TCP = 6;
const ICMP = { 4: 1, 6: 58 };
/** Fragmentation needed, packet too big: what path MTU discovery lives on. */
const TOO_BIG = { 4: [3, 4], 6: [2, 0] };
/** Where source and destination are in an IP header, and how long it is. */
const IP = { 4: { source: 12, target: 16, bytes: 20 }, 6: { source: 8, target: 24, bytes: 40 } };
const ETHERNET_BYTES = 14;

/** The internet checksum (RFC 1071); 0 over a header that carries its own. */
function checksum(bytes) {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum ^ 0xffff;
}

/** 16 bytes as a flow has them, to the 4 or 16 of a header. */
const wireAddress = (family, address) => (family === 4 ? address.subarray(12) : address);

/** An IP packet; addresses are 16 bytes each as in a flow. */
function ipPacket({ family, source, target, ttl = 64, protocol, payload }) {
  const header = Buffer.alloc(IP[family].bytes);
  wireAddress(family, source).copy(header, IP[family].source);
  wireAddress(family, target).copy(header, IP[family].target);
  if (family === 6) {
    header[0] = 0x60;
    header.writeUInt16BE(payload.length, 4);
    header[6] = protocol;
    header[7] = ttl;
    return Buffer.concat([header, payload]);
  }
  header[0] = 0x45;
  header.writeUInt16BE(header.length + payload.length, 2);
  header[8] = ttl;
  header[9] = protocol;
  header.writeUInt16BE(checksum(header), 10);
  return Buffer.concat([header, payload]);
}

/** A TCP segment of the flow, from the client; `flags` as in the header: 2 SYN, 4 RST, 16 ACK. */
function segment(family, flow, flags, options = {}) {
  const tcp = Buffer.alloc(20);
  flow.copy(tcp, 0, 32, 36);
  tcp.writeUInt32BE(options.sequence ?? 0, 4);
  tcp[12] = 0x50;
  tcp[13] = flags;
  const payload = options.extension === undefined ? tcp : Buffer.concat([options.extension, tcp]);
  const protocol = options.extension === undefined ? TCP : options.firstHeader;
  return ipPacket({
    family,
    source: flow.subarray(0, 16),
    target: flow.subarray(16, 32),
    protocol,
    payload,
    ...options,
  });
}

/** An ICMP error from a router, about a segment that the VIP has sent to the client. */
function tooBig(family, flow, router, options = {}) {
  const client = flow.subarray(0, 16);
  const vip = flow.subarray(16, 32);
  const ports = Buffer.concat([flow.subarray(34, 36), flow.subarray(32, 34), Buffer.alloc(4)]);
  const quoted = ipPacket({
    family,
    source: options.quotedSource ?? vip,
    target: client,
    protocol: TCP,
    payload: ports,
  });
  const payload = Buffer.concat([Buffer.from([...TOO_BIG[family], 0, 0, 0, 0, 5, 0]), quoted]);
  return ipPacket({ family, source: router, target: vip, protocol: ICMP[family], payload });
}

function ethernet(family, packet, to) {
  const header = Buffer.alloc(ETHERNET_BYTES);
  to.copy(header, 0);
  Buffer.from('020000000099', 'hex').copy(header, 6);
  header.writeUInt16BE(ETHERTYPE[family], 12);
  return Buffer.concat([header, packet]);
}

/** What a forwarded frame says, without what may differ from run to run. */
function describe(family, frame) {
  const packet = frame.subarray(ETHERNET_BYTES);
  return {
    to: frame.toString('hex', 0, 6),
    ttl: packet[family === 4 ? 8 : 7],
    checksum: family === 4 ? checksum(packet.subarray(0, 20)) : 0,
    payload: packet.subarray(IP[family].bytes),
  };
}

module.exports = { checksum, describe, ethernet, ipPacket, segment, tooBig };
