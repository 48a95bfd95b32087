// Runs in a network namespace with two ends of a cable: `front`, where packets are steered, and `wire`, where a raw
// socket plays the network. Usage: node steering.fixture.cjs DIST PIN FAMILY STEP   -> a JSON line
const { existsSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const [dist, pin, familyText, step] = process.argv.slice(2);
const family = Number(familyText);
const libc = require(`${dist}/kernel/libc`);
const flows = require(`${dist}/kernel/flow`);
const { monotonicNs } = require(`${dist}/steer/flow-table`);
const { NextHops } = require(`${dist}/steer/next-hops`);
const { Steering } = require(`${dist}/steer/steering`);
const { describe, ethernet, segment, tooBig } = require('./packets.cjs');

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL = 3;
const MSG_DONTWAIT = 0x40;
/** By how much two readings of one clock may disagree: user space adds up a start and a difference. */
const APART_NS = 100_000;
/** Where the client stood at the handoff. */
const CLIENT = { sequence: 1, acknowledged: 2, initial: 3 };
const SYN = 2;
const ACK = 16;

const HOSTS = {
  4: {
    client: '198.18.1.1',
    vip: '198.19.0.1',
    backend: '198.18.0.21',
    router: '198.18.0.254',
    own: '198.18.0.11',
  },
  6: {
    client: '2001:2::1:1',
    vip: '2001:2:0:ff::1',
    backend: '2001:2::21',
    router: '2001:2::fe',
    own: '2001:2::11',
  },
}[family];
const BEHIND_ROUTER = { 4: '203.0.113.1', 6: '2001:db8::1' }[family];
const flow = flows.makeFlow(HOSTS.client, 40000, HOSTS.vip, 80);
const router = flows.parseAddress(HOSTS.router);
/** Given to the interface by the test. */
const FRONT_MAC = Buffer.from('020000000011', 'hex');

/** A raw socket on the other end of the cable. */
function openWire() {
  const fd = libc.socket(AF_PACKET, SOCK_RAW | 0o4000, 0);
  // struct sockaddr_ll: family, protocol (network order), interface index.
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_ALL, 2);
  address.writeInt32LE(libc.ifNameToIndex('wire'), 4);
  if (libc.bind(fd, address, address.length) < 0) throw new Error('bind to wire');
  const buffer = Buffer.alloc(2048);
  return {
    /** Sends a packet to the front and returns the one that it sends to the backend; undefined when there is none. */
    pass(packet) {
      const frame = ethernet(family, packet, FRONT_MAC);
      if (libc.send(fd, frame, frame.length, 0) !== frame.length) throw new Error('send to wire');
      // A virtual cable delivers within the system call, so what is to come back is there.
      for (;;) {
        const length = libc.recv(fd, buffer, buffer.length, MSG_DONTWAIT);
        if (length < 0) return undefined;
        if (buffer.toString('hex', 0, 6) !== BACKEND_MAC) continue;
        const { payload, ...facts } = describe(family, buffer.subarray(0, length));
        return { ...facts, same: payload.equals(packet.subarray(packet.length - payload.length)) };
      }
    },
  };
}

const BACKEND_MAC = '020000000021';

/** No route leads there. */
const NOWHERE = { 4: '192.0.2.1', 6: '2001:db9::1' }[family];

/** The next hop at an address, asked for beside others. */
function resolveNextHop(via) {
  const hops = new NextHops();
  hops.ask([HOSTS.backend, via]);
  return hops.of(via);
}

/** How an attempt ends: nothing, or the error's message. */
function messageOf(attempt) {
  try {
    attempt();
    return '';
  } catch (error) {
    return error.message;
  }
}

const STEPS = {
  packets(steering) {
    const wire = openWire();
    const unknown = wire.pass(segment(family, flow, ACK));
    const number = steering.backends.assign('b1', new Set(['b1']), new Set());
    steering.flows.insert(flow, resolveNextHop(HOSTS.backend), number, 7, 9, CLIENT);

    const before = monotonicNs();
    const ack = wire.pass(segment(family, flow, ACK));
    const after = monotonicNs();
    const { lastSeen, packets, bytes } = steering.flows.get(flow);
    const expired = wire.pass(segment(family, flow, ACK, { ttl: 1 }));
    const error = wire.pass(tooBig(family, flow, router));
    const foreign = wire.pass(tooBig(family, flow, router, { quotedSource: router }));
    const other = wire.pass(segment(family, flows.makeFlow(HOSTS.client, 40001, HOSTS.vip, 80), ACK));
    // A SYN/ACK is no beginning: the entry stays.
    wire.pass(segment(family, flow, SYN | ACK));
    const kept = steering.flows.get(flow) !== undefined;
    const totals = steering.backends.totals(number);
    // The connection's own SYN, late: its backend knows what to do with it. Any other begins a new connection.
    const copy = wire.pass(segment(family, flow, SYN, { sequence: CLIENT.initial }));
    const keptByCopy = steering.flows.get(flow) !== undefined;
    const syn = wire.pass(segment(family, flow, SYN, { sequence: CLIENT.initial + 1 }));
    return {
      unknown,
      ack,
      counted: { packets, bytes, onOurClock: before - APART_NS <= lastSeen && lastSeen <= after + APART_NS },
      expired,
      error,
      foreign,
      other,
      kept,
      totals,
      copy,
      keptByCopy,
      syn,
      afterSyn: steering.flows.get(flow) !== undefined,
      drops: steering.drops(),
    };
  },

  /** IPv6 only: what lies between the header and TCP is walked over, as far as it makes sense. */
  extensions(steering) {
    const wire = openWire();
    steering.flows.insert(flow, resolveNextHop(HOSTS.backend), 1, 7, 9, CLIENT);
    const TCP = 6;
    const header = (next, eights) =>
      Buffer.concat([Buffer.from([next, eights - 1]), Buffer.alloc(eights * 8 - 2)]);
    const pass = (firstHeader, ...headers) =>
      wire.pass(segment(family, flow, ACK, { firstHeader, extension: Buffer.concat(headers) })) !== undefined;
    return {
      destination: pass(60, header(TCP, 1)),
      several: pass(0, header(43, 2), header(60, 1), header(TCP, 3)),
      // Offset 0 and more to come; then offset 8 (RFC 8200 section 4.5).
      firstFragment: pass(44, Buffer.from([TCP, 0, 0, 1, 0, 0, 0, 0])),
      laterFragment: pass(44, Buffer.from([TCP, 0, 0, 8, 0, 0, 0, 0])),
      endless: pass(60, ...Array.from({ length: 8 }, (_, i) => header(i < 7 ? 60 : TCP, 1))),
    };
  },

  /** A front leaves a flow behind and is gone; `taken` is its successor, with another size in mind. */
  leave(steering) {
    const number = steering.backends.assign('b2', new Set(['b1', 'b2']), new Set());
    steering.flows.insert(flow, resolveNextHop(HOSTS.backend), number, 7, 9, CLIENT);
    return { number, kept: steering.keptCapacity };
  },

  between() {
    return { ack: openWire().pass(segment(family, flow, ACK)) };
  },

  taken(steering) {
    const { id, packets } = steering.flows.get(flow);
    const again = steering.backends.assign('b2', new Set(['b2', 'b3']), new Set([1]));
    const next = steering.backends.assign('b3', new Set(['b2', 'b3']), new Set([again]));
    const { ttl } = openWire().pass(segment(family, flow, ACK));
    return {
      id,
      packets,
      capacity: steering.flows.capacity,
      kept: steering.keptCapacity,
      again,
      next,
      name: steering.backends.name(again),
      ttl,
    };
  },

  /** A front that could not start takes back what it has installed, and nothing that was there before. */
  abandon(steering) {
    steering.abandon();
    return { pinned: existsSync(pin) };
  },

  refusals() {
    const elsewhere = join(tmpdir(), `bt-test-${process.pid}`, 'a');
    return {
      elsewhere: messageOf(() => Steering.open({ interface: 'front', pin: elsewhere, maxFlows: 16 })),
      made: existsSync(join(elsewhere, '..')),
    };
  },

  nextHops() {
    return {
      onLink: resolveNextHop(HOSTS.backend).ifindex === libc.ifNameToIndex('front'),
      behind: messageOf(() => resolveNextHop(BEHIND_ROUTER)),
      own: messageOf(() => resolveNextHop(HOSTS.own)),
      nowhere: messageOf(() => resolveNextHop(NOWHERE)),
    };
  },
};

const WITHOUT_STEERING = ['between', 'nextHops', 'refusals'];
const maxFlows = step === 'taken' ? 64 : 16;
const steering = WITHOUT_STEERING.includes(step)
  ? undefined
  : Steering.open({ interface: 'front', pin, maxFlows });
console.log(JSON.stringify(STEPS[step](steering)));
if (step !== 'abandon') steering?.close();
