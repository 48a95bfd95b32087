/**
 * The flow: client address and port, VIP address and port. Its byte layout is the key of the eBPF flow table
 * (`struct flow_key` in steer.bpf.c), part of the snapshot and of the control protocol, so it is written once, here.
 *
 *   0  client address, 16 bytes; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)
 *  16  VIP address, likewise
 *  32  client port, big endian
 *  34  VIP port, big endian
 */
import { isIP, isIPv4, isIPv6 } from 'node:net';

export const FLOW_BYTES = 36;
const VIP_ADDRESS = 16;
const CLIENT_PORT = 32;
const VIP_PORT = 34;

const AF_INET = 2;
const AF_INET6 = 10;
/** sizeof(struct sockaddr_in6), the larger of the two. */
export const SOCKADDR_BYTES = 28;

const MAPPED_PREFIX = Buffer.from('00000000000000000000ffff', 'hex');

/** Reads an IPv4 or IPv6 literal into 16 bytes; throws a RangeError for anything else. */
export function parseAddress(text: string, target: Buffer = Buffer.alloc(16), offset = 0): Buffer {
  if (isIPv4(text)) {
    MAPPED_PREFIX.copy(target, offset);
    text.split('.').forEach((part, index) => (target[offset + 12 + index] = Number(part)));
    return target;
  }
  if (!isIPv6(text) || text.includes('%')) throw new RangeError(`not an IP address: ${text}`);
  // The URL parser normalises the literal: at most one '::', no embedded IPv4.
  const url = new URL(`http://[${text}]/`);
  const [left = '', right] = url.hostname.slice(1, -1).split('::');
  const groups = (side: string): number[] => (side === '' ? [] : side.split(':').map((g) => parseInt(g, 16)));
  const head = groups(left);
  const tail = right === undefined ? [] : groups(right);
  const middle = new Array<number>(8 - head.length - tail.length).fill(0);
  [...head, ...middle, ...tail].forEach((group, index) => target.writeUInt16BE(group, offset + 2 * index));
  return target;
}

/** The inverse of parseAddress: the shortest usual spelling (RFC 5952). */
export function formatAddress(bytes: Buffer, offset = 0): string {
  if (isMapped(bytes, offset)) return bytes.subarray(offset + 12, offset + 16).join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(bytes.readUInt16BE(offset + i).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Whether the 16 bytes hold an IPv4 address. */
export function isMapped(bytes: Buffer, offset: number): boolean {
  return (
    bytes.readUInt32BE(offset + 8) === 0xffff &&
    bytes.readUInt32BE(offset) === 0 &&
    bytes.readUInt32BE(offset + 4) === 0
  );
}

export function flowFamily(flow: Buffer, offset = 0): 4 | 6 {
  return isMapped(flow, offset + VIP_ADDRESS) ? 4 : 6;
}

/** `198.18.1.1:40000>198.19.0.1:80`, `[2001:2::1]:40000>[2001:2:0:ff::1]:80`: what logs and the admin API show. */
export function formatFlow(flow: Buffer, offset = 0): string {
  const client = formatEndpoint(flow, offset, offset + CLIENT_PORT);
  return `${client}>${formatEndpoint(flow, offset + VIP_ADDRESS, offset + VIP_PORT)}`;
}

/** The flow that formatFlow writes so; undefined for a text that is none. */
export function parseFlow(text: string): Buffer | undefined {
  const [, client = '', clientPort, vip = '', vipPort] =
    /^\[?([0-9a-fA-F:.]+?)\]?:(\d{1,5})>\[?([0-9a-fA-F:.]+?)\]?:(\d{1,5})$/.exec(text) ?? [];
  if (isIP(client) === 0 || isIP(client) !== isIP(vip)) return undefined;
  const ports = [Number(clientPort), Number(vipPort)] as const;
  return ports.every((port) => port <= 0xffff) ? makeFlow(client, ports[0], vip, ports[1]) : undefined;
}

/** The client's half alone: `198.18.1.1:40000`. */
export function formatClient(flow: Buffer): string {
  return formatEndpoint(flow, 0, CLIENT_PORT);
}

/** The VIP's half alone: `198.19.0.1:80`. */
export function formatVip(flow: Buffer): string {
  return formatEndpoint(flow, VIP_ADDRESS, VIP_PORT);
}

/** The VIP's half as the key of a map. */
export function vipKey(flow: Buffer): string {
  return flow.toString('latin1', VIP_ADDRESS, CLIENT_PORT) + flow.toString('latin1', VIP_PORT, FLOW_BYTES);
}

export function vipPort(flow: Buffer): number {
  return flow.readUInt16BE(VIP_PORT);
}

function formatEndpoint(flow: Buffer, address: number, port: number): string {
  const host = formatAddress(flow, address);
  return `${host.includes(':') ? `[${host}]` : host}:${flow.readUInt16BE(port)}`;
}

/** An address and a port, apart. */
interface FlowEnd {
  readonly address: string;
  readonly port: number;
}

export function clientOf(flow: Buffer): FlowEnd {
  return { address: formatAddress(flow), port: flow.readUInt16BE(CLIENT_PORT) };
}

export function vipOf(flow: Buffer): FlowEnd {
  return { address: formatAddress(flow, VIP_ADDRESS), port: flow.readUInt16BE(VIP_PORT) };
}

/** Builds a flow from literals; for tests, tools and configuration, not for the hot path. */
export function makeFlow(client: string, clientPort: number, vip: string, vipPort: number): Buffer {
  const flow = Buffer.alloc(FLOW_BYTES);
  parseAddress(client, flow, 0);
  parseAddress(vip, flow, VIP_ADDRESS);
  flow.writeUInt16BE(clientPort, CLIENT_PORT);
  flow.writeUInt16BE(vipPort, VIP_PORT);
  return flow;
}

/** Copies a kernel sockaddr (sockaddr_in or sockaddr_in6) into the client's half of a flow. */
export function flowClientFromSockaddr(sockaddr: Buffer, flow: Buffer, offset = 0): void {
  endpointFromSockaddr(sockaddr, flow, offset, offset + CLIENT_PORT);
}

/** Copies a kernel sockaddr into the VIP's half of a flow. */
export function flowVipFromSockaddr(sockaddr: Buffer, flow: Buffer, offset = 0): void {
  endpointFromSockaddr(sockaddr, flow, offset + VIP_ADDRESS, offset + VIP_PORT);
}

function endpointFromSockaddr(sockaddr: Buffer, flow: Buffer, address: number, port: number): void {
  // Ports are in network order in both layouts.
  flow[port] = sockaddr[2] ?? 0;
  flow[port + 1] = sockaddr[3] ?? 0;
  if (sockaddr.readUInt16LE(0) === AF_INET) {
    MAPPED_PREFIX.copy(flow, address);
    sockaddr.copy(flow, address + 12, 4, 8);
  } else {
    sockaddr.copy(flow, address, 8, 24);
  }
}

/** Writes a flow's client half as a sockaddr for connect(2); returns its length. */
export function sockaddrFromFlowClient(flow: Buffer, offset: number, sockaddr: Buffer): number {
  return writeSockaddr(sockaddr, flow, offset, flow.readUInt16BE(offset + CLIENT_PORT));
}

/** Writes a flow's VIP half as a sockaddr for bind(2); returns its length. */
export function sockaddrFromFlowVip(flow: Buffer, offset: number, sockaddr: Buffer): number {
  return writeSockaddr(sockaddr, flow, offset + VIP_ADDRESS, flow.readUInt16BE(offset + VIP_PORT));
}

/** Writes an address literal and port as a sockaddr; returns its length. */
export function sockaddrFromEndpoint(host: string, port: number, sockaddr: Buffer): number {
  return writeSockaddr(sockaddr, parseAddress(host), 0, port);
}

function writeSockaddr(sockaddr: Buffer, address: Buffer, offset: number, port: number): number {
  sockaddr.fill(0);
  sockaddr.writeUInt16BE(port, 2);
  if (isMapped(address, offset)) {
    sockaddr.writeUInt16LE(AF_INET, 0);
    address.copy(sockaddr, 4, offset + 12, offset + 16);
    return 16;
  }
  sockaddr.writeUInt16LE(AF_INET6, 0);
  address.copy(sockaddr, 8, offset, offset + 16);
  return SOCKADDR_BYTES;
}
