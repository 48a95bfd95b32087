import type { Packet } from '../../lab/pcap';

/** Packets of one connection as its client saw them, and what must hold of each direction whoever sends. */
export interface Trace {
  readonly synAck: Packet;
  /** From the client, the SYN first. */
  readonly sent: readonly Packet[];
  /** From the VIP, behind the SYN/ACK. */
  readonly received: readonly Packet[];
}

/** Picks the connection with this client port. */
export function traceOf(packets: readonly Packet[], port: number): Trace {
  const sent = packets.filter(({ sport, dport }) => sport === port && dport === 80);
  const [synAck, ...received] = packets.filter(({ sport, dport }) => sport === 80 && dport === port);
  if (synAck?.flags !== 'SA') throw new Error(`no SYN/ACK for port ${port}`);
  return { synAck, sent, received };
}

/** How far sequence number `a` is ahead of `b` (RFC 9293 section 3.4). */
export function ahead(a: number, b: number): number {
  return (a - b) | 0;
}

/** Octets that came, each counted once; throws where one is missing in front of another. */
export function continuousBytes({ synAck, received }: Trace): number {
  let next = synAck.seq + 1;
  for (const { seq, payloadLength } of received) {
    if (ahead(seq, next) > 0) throw new Error(`gap of ${ahead(seq, next)} bytes`);
    if (ahead(seq + payloadLength, next) > 0) next = seq + payloadLength;
  }
  return ahead(next, synAck.seq + 1);
}

/**
 * The smallest step from one sender's numbers or clocks to its successor's; negative where something was taken back.
 * Within one sender's packets the order of capture tells nothing: two CPUs send acknowledgements side by side.
 */
export function stepOver(before: readonly number[], after: readonly number[]): number {
  const latest = before.reduce((a, b) => (ahead(a, b) > 0 ? a : b));
  const earliest = after.reduce((a, b) => (ahead(a, b) < 0 ? a : b));
  return ahead(earliest, latest);
}

/** The first sequence number that the client may not send, by each packet (RFC 9293 section 3.8.6). */
export function rightEdges(packets: readonly Packet[], scale: number): number[] {
  // The window of a SYN/ACK is not scaled (RFC 7323 section 2.2).
  return packets.map(({ ack, window, flags }) => ack + window * (flags === 'SA' ? 1 : 2 ** scale));
}

/** Timestamp clocks of packets; throws where one has none. */
export function clocks(packets: readonly Packet[]): number[] {
  return packets.map(({ options }) => {
    if (options.timestamp === undefined) throw new Error('a packet without a timestamp');
    return options.timestamp.value;
  });
}

/** Ticks of the timestamp clock per millisecond, from the first packet to the last. */
export function clockRate(packets: readonly Packet[]): number {
  const [first, last] = [packets[0], packets.at(-1)];
  if (first === undefined || last === undefined) throw new Error('no packets');
  const [from = 0, to = 0] = clocks([first, last]);
  return (ahead(to, from) / (last.time - first.time)) * 1000;
}
