/**
 * A TCP in user space, for clients whose kernel would not do what a test wants: every option, flag, window and sequence
 * number of a packet is the test's. It speaks from an address that its host does not have, so the host's own TCP keeps
 * quiet; the others on the link know the address as a neighbour (odd-cluster.ts).
 *
 *     const tcp = new RawTcp(new Wire('eth0', own), { family, source, target, sport, to });
 *     await tcp.open(option.mss(1460));
 *     tcp.write(request);
 *     await tcp.until(() => tcp.finished);
 *
 * What is written is repeated until it is acknowledged, and what comes in order is acknowledged, unless a test says
 * otherwise. There is no congestion control, and no queue for what comes out of order: the others have to cope.
 */
const socket = require('../../../dist/kernel/socket');
const libc = require('../../../dist/kernel/libc');
const flows = require('../../../dist/kernel/flow');
const { checksum, ethernet, ipPacket } = require('../../steer/packets.cjs');

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 3;
const ETHERNET_BYTES = 14;
const TCP = 6;
const FLAG = { fin: 1, syn: 2, rst: 4, psh: 8, ack: 16, urg: 32 };
const DATA = FLAG.ack | FLAG.psh;

const POLL_MS = 1;
/** Longer than any answer takes here, shorter than the kernels' own timers. */
const REPEAT_MS = 150;
/** Segments repeated at once. */
const REPEATED = 16;
const SEGMENT = 1_400;
const LARGEST_FRAME = 65_600;
/** Between two looks thousands of small packets may come: those that do not fit would be lost. */
const BUFFER_BYTES = 16 * 1024 * 1024;
const TIMEOUT_MS = 15_000;

const NOTHING = Buffer.alloc(0);

/** TCP options, each padded to a multiple of four. */
const option = {
  mss: (value) => Buffer.from([2, 4, value >> 8, value & 255]),
  sackPermitted: () => Buffer.from([4, 2, 1, 1]),
  windowScale: (shift) => Buffer.from([3, 3, shift, 1]),
  timestamps: (value, echo) => {
    const bytes = Buffer.from([1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.writeUInt32BE(value >>> 0, 4);
    bytes.writeUInt32BE(echo >>> 0, 8);
    return bytes;
  },
  /** RFC 7413 section 4.1.1; without a cookie it asks for one. */
  fastOpen: () => Buffer.from([34, 2, 1, 1]),
};

/** Sequence numbers wrap (RFC 9293 section 3.4). */
const ahead = (a, b) => (a - b) | 0;

/** An interface's packets, given to whoever has their destination port. */
class Wire {
  #buffer = Buffer.alloc(LARGEST_FRAME);
  takers = new Map();

  constructor(name, mac) {
    this.mac = mac;
    this.fd = libc.socket(AF_PACKET, SOCK_RAW | socket.SOCK_NONBLOCK, 0);
    socket.setOption(this.fd, socket.SOL_SOCKET, socket.SO_RCVBUFFORCE, BUFFER_BYTES);
    // struct sockaddr_ll: family, protocol (network order), interface index.
    const address = Buffer.alloc(20);
    address.writeUInt16LE(AF_PACKET, 0);
    address.writeUInt16BE(ETH_P_ALL, 2);
    address.writeInt32LE(libc.ifNameToIndex(name), 4);
    if (libc.bind(this.fd, address, address.length) < 0) throw new Error(`bind to ${name}`);
    setInterval(() => this.#poll(), POLL_MS);
  }

  send(to, family, packet) {
    const frame = ethernet(family, packet, to);
    this.mac.copy(frame, 6);
    const sent = libc.send(this.fd, frame, frame.length, 0);
    if (sent < 0) throw new Error(`send ${frame.length} octets: errno ${-sent}`);
  }

  #poll() {
    for (;;) {
      const length = libc.recv(this.fd, this.#buffer, this.#buffer.length, socket.MSG_DONTWAIT);
      if (length < 0) return;
      this.#dispatch(this.#buffer.subarray(0, length));
    }
  }

  #dispatch(frame) {
    const packet = frame.subarray(ETHERNET_BYTES);
    const family = packet[0] >> 4;
    const protocol = packet[family === 4 ? 9 : 6];
    if ((family !== 4 && family !== 6) || protocol !== TCP) return;
    const [header, total] = family === 4 ? [20, packet.readUInt16BE(2)] : [40, packet.readUInt16BE(4) + 40];
    const tcp = packet.subarray(header, total);
    const taker = this.takers.get(tcp.readUInt16BE(2));
    // A copy, because the buffer is used again; the sender's hardware address says which host this came from.
    taker?.(Buffer.from(tcp), frame.toString('hex', 6, 12));
  }
}

class RawTcp {
  /** Hardware addresses of those who sent payload: the front's, or a backend's. */
  senders = new Set();
  receivedBytes = 0;
  /** Payload of the largest segment. */
  largest = 0;
  established = false;
  /** Whether the SYN/ACK has acknowledged more than the SYN itself. */
  tookPayload = false;
  finished = false;
  reset = false;
  /** The window as it is announced, not scaled. */
  window = 65_535;
  /** Whether what comes is acknowledged. */
  acknowledges = true;
  /** Whether every packet has a timestamp, for a test that has offered them. */
  timestamps = false;
  urgentPointer = 0;
  /** An IPv6 extension header in front of every segment: { protocol, bytes }. */
  extension = undefined;
  /** Which segments, counted from the first one behind the handshake, are lost when they are sent for the first time. */
  loses = () => false;

  #received = [];
  #pending = [];
  #sentCount = 0;
  #gone = false;
  #repeatAt = 0;
  /** The first sequence number that the other side does not take now, and how it scales its window. */
  #edge = 0;
  #scale = 0;
  #synOptions = NOTHING;
  #echo = 0;

  constructor(wire, { family, source, target, sport, to }) {
    Object.assign(this, { wire, family, sport, to });
    this.source = flows.parseAddress(source);
    this.target = flows.parseAddress(target);
    this.initial = Math.floor(Math.random() * 2 ** 32);
    /** The next sequence number, what is acknowledged of them, and what is expected from the other side. */
    this.next = this.initial;
    this.acknowledged = this.initial;
    this.expected = 0;
    wire.takers.set(sport, (tcp, sender) => this.#take(tcp, sender));
    setInterval(() => this.#repeat(), REPEAT_MS / 3);
  }

  /** What came, in order. */
  get received() {
    return Buffer.concat(this.#received);
  }

  /** Sends a SYN with these options, and payload where the test wants it; resolves when the handshake is done. */
  async open(options = NOTHING, payload = NOTHING) {
    this.#synOptions = options;
    this.#queue(FLAG.syn, payload);
    await this.until(() => this.established || this.reset);
    if (this.reset) throw new Error('connection refused');
  }

  /** Queues bytes in segments of `size`, and sends what the other side's window takes; `reverse`: the last one first. */
  write(data, { size = SEGMENT, flags = DATA, reverse = false } = {}) {
    const bytes = Buffer.from(data);
    const before = this.#pending.length;
    for (let at = 0; at < bytes.length; at += size)
      this.#queue(flags, bytes.subarray(at, at + size), reverse);
    if (!reverse) return;
    for (const segment of this.#pending.slice(before).reverse()) this.#send(segment);
  }

  /** A FIN, in one packet with the last bytes where there are any. */
  finish(data = '') {
    const bytes = Buffer.from(data);
    const last = Math.max(0, bytes.length - SEGMENT);
    this.write(bytes.subarray(0, last));
    this.#queue(FLAG.ack | FLAG.fin, bytes.subarray(last));
  }

  /** One packet as it is: by default an acknowledgement with what is expected and announced now. */
  packet(fields = {}) {
    const {
      flags = FLAG.ack,
      sequence = this.next,
      acknowledgement = this.expected,
      payload = NOTHING,
    } = fields;
    const options = fields.options ?? (this.timestamps ? this.#timestamp() : NOTHING);
    const tcp = Buffer.alloc(20 + options.length + payload.length);
    tcp.writeUInt16BE(this.sport, 0);
    tcp.writeUInt16BE(80, 2);
    tcp.writeUInt32BE(sequence >>> 0, 4);
    if (flags & FLAG.ack) tcp.writeUInt32BE(acknowledgement >>> 0, 8);
    tcp[12] = (5 + options.length / 4) << 4;
    tcp[13] = flags;
    tcp.writeUInt16BE(this.window, 14);
    if (flags & FLAG.urg) tcp.writeUInt16BE(this.urgentPointer, 18);
    options.copy(tcp, 20);
    payload.copy(tcp, 20 + options.length);
    tcp.writeUInt16BE(this.#checksum(tcp), 16);
    const { family, source, target, extension } = this;
    const { protocol, bytes } = extension ?? { protocol: TCP, bytes: NOTHING };
    const whole = Buffer.concat([bytes, tcp]);
    this.wire.send(this.to, family, ipPacket({ family, source, target, protocol, payload: whole }));
  }

  /** Ends the connection; whatever still comes is answered with RST, as by a host that has no such connection. */
  rst() {
    this.#gone = true;
    this.#pending = [];
    this.packet({ flags: FLAG.rst | FLAG.ack });
  }

  /** Announces a window, at once. */
  announce(window) {
    this.window = window;
    this.packet();
  }

  /** The SYN once more, as the network might deliver it twice. */
  repeatSyn() {
    this.packet({ flags: FLAG.syn, sequence: this.initial, options: this.#synOptions });
  }

  /** Awaits a condition. */
  async until(condition) {
    const deadline = Date.now() + TIMEOUT_MS;
    while (!condition()) {
      if (Date.now() > deadline) throw new Error(`not within ${TIMEOUT_MS} ms: ${condition}; ${this}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  toString() {
    const end = this.finished ? 'FIN' : this.reset ? 'RST' : 'open';
    return `${this.receivedBytes} bytes, ${end}, ${this.#pending.length} segments not acknowledged`;
  }

  /** The pseudo header of IPv6 does for both: the mapped form of an IPv4 address adds 0xffff, which is nothing. */
  #checksum(tcp) {
    const pseudo = Buffer.alloc(40);
    this.source.copy(pseudo, 0);
    this.target.copy(pseudo, 16);
    pseudo.writeUInt32BE(tcp.length, 32);
    pseudo[39] = TCP;
    return checksum(Buffer.concat([pseudo, tcp, Buffer.alloc(tcp.length % 2)]));
  }

  #timestamp() {
    return option.timestamps(Math.round(performance.now()) + 1, this.#echo);
  }

  #queue(flags, payload, later = false) {
    const length = payload.length + (flags & (FLAG.syn | FLAG.fin) ? 1 : 0);
    this.#pending.push({ sequence: this.next, length, flags, payload, sent: false });
    this.next = (this.next + length) >>> 0;
    if (!later) this.#pump();
  }

  /** Sends what was not sent yet and fits the other side's window; before the handshake is done, the SYN. */
  #pump() {
    for (const segment of this.#pending) {
      const fits = this.established
        ? ahead(this.#edge, segment.sequence + segment.length) >= 0
        : (segment.flags & FLAG.syn) !== 0;
      if (!segment.sent && fits) this.#send(segment);
    }
  }

  #send(segment) {
    const first = !segment.sent;
    segment.sent = true;
    this.#repeatAt = Date.now() + REPEAT_MS;
    if (first && this.established && this.loses(this.#sentCount++)) return;
    const { sequence, flags, payload } = segment;
    const syn = (flags & FLAG.syn) !== 0;
    this.packet({ sequence, flags, payload, ...(syn ? { options: this.#synOptions } : {}) });
  }

  #repeat() {
    if (this.#pending.length === 0 || Date.now() < this.#repeatAt) return;
    // The first one goes out whatever the window: it is the probe for one.
    this.#pending.slice(0, REPEATED).forEach((segment, index) => {
      if (segment.sent || index === 0) this.#send(segment);
    });
  }

  #take(tcp, sender) {
    const flags = tcp[13];
    const headerBytes = (tcp[12] >> 4) * 4;
    const payload = tcp.subarray(headerBytes);
    if (flags & FLAG.rst) {
      this.reset = true;
      this.#pending = [];
      return;
    }
    if (this.#gone) {
      this.packet({ flags: FLAG.rst, sequence: tcp.readUInt32BE(8) });
      return;
    }
    if (payload.length > 0) this.senders.add(sender);
    this.#readOptions(tcp.subarray(20, headerBytes), flags);
    if (flags & FLAG.ack) this.#acknowledge(tcp.readUInt32BE(8), tcp.readUInt16BE(14), flags & FLAG.syn);
    if (flags & FLAG.syn) {
      this.expected = (tcp.readUInt32BE(4) + 1) >>> 0;
      this.established = true;
      this.tookPayload = tcp.readUInt32BE(8) !== (this.initial + 1) >>> 0;
      if (this.acknowledges) this.packet();
    } else {
      this.#receive(tcp.readUInt32BE(4), payload, flags & FLAG.fin);
    }
    this.#pump();
  }

  #receive(sequence, payload, fin) {
    this.largest = Math.max(this.largest, payload.length);
    const known = ahead(this.expected, sequence);
    const news = payload.length + fin - known;
    if (known >= 0 && news > 0 && !this.finished) {
      this.#received.push(payload.subarray(known));
      this.receivedBytes += Math.max(0, payload.length - known);
      this.expected = (this.expected + news) >>> 0;
      this.finished = fin === FLAG.fin;
    }
    // A bare acknowledgement is not answered, or two of a kind would never end; a probe, which is an old one, is.
    if (this.acknowledges && (payload.length + fin > 0 || known !== 0)) this.packet();
  }

  #acknowledge(number, window, syn) {
    if (ahead(number, this.acknowledged) < 0) return;
    // The window of a SYN is not scaled (RFC 7323 section 2.2).
    this.#edge = number + window * (syn ? 1 : 2 ** this.#scale);
    if (ahead(number, this.acknowledged) === 0) return;
    this.acknowledged = number;
    this.#repeatAt = Date.now() + REPEAT_MS;
    this.#pending = this.#pending.filter(({ sequence, length }) => ahead(sequence + length, number) > 0);
    const [first] = this.#pending;
    if (first === undefined || (first.flags & FLAG.syn) === 0) return;
    // The SYN alone was taken: the payload in it goes again as an ordinary segment.
    Object.assign(first, {
      sequence: first.sequence + 1,
      length: first.length - 1,
      flags: DATA,
      sent: false,
    });
  }

  /** The timestamp to echo, and in a SYN/ACK the scale of the other side's window, which counts where both offer one. */
  #readOptions(bytes, flags) {
    for (let at = 0; at < bytes.length && bytes[at] !== 0; at += bytes[at] === 1 ? 1 : bytes[at + 1]) {
      if (bytes[at] === 8) this.#echo = bytes.readUInt32BE(at + 2);
      if (bytes[at] === 3 && flags & FLAG.syn) this.#scale = bytes[at + 2];
    }
  }
}

module.exports = { FLAG, option, RawTcp, Wire };
