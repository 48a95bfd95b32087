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

/** Steps of a series of sequence numbers or clocks that lead backwards; none should. */
export function stepsBack(values: readonly number[]): number[] {
  return values.flatMap((value, index) => {
    const step = ahead(value, values[index - 1] ?? value);
    return step < 0 ? [step] : [];
  });
}

/** The first sequence number that the client may not send, after each packet: RFC 9293 section 3.8.6 forbids to take back. */
export function rightEdges({ synAck, received }: Trace): number[] {
  // The window of a SYN/ACK is not scaled (RFC 7323 section 2.2).
  const scale = synAck.options.windowScale ?? 0;
  return [synAck.ack + synAck.window, ...received.map(({ ack, window }) => ack + window * 2 ** scale)];
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
