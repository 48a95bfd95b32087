/** What the socket behind a descriptor is: for descriptors that come from another process. */
import { KernelError } from './errors';
import { flowVipFromSockaddr, FLOW_BYTES, formatVip, makeFlow } from './flow';
import { getsockname } from './libc';
import { AF_INET, AF_INET6, getOption, IPPROTO_TCP, SOCK_STREAM, SOL_SOCKET } from './socket';

const AF_UNIX = 1;
const SO_TYPE = 3;
const SO_PROTOCOL = 38;
const IPPROTO_IPV6 = 41;
const IPV6_V6ONLY = 26;
/** sizeof(struct sockaddr_un): the longest address of the families above. */
const MOST_ADDRESS_BYTES = 110;

export interface BoundSocket {
  /** `stream` is a Unix one; `other` is a socket that Baton has no use for. */
  readonly kind: 'tcp' | 'stream' | 'other';
  /** `198.19.0.1:80`, `[2001:db8::1]:80`, `unix:/run/baton.sock`: the spelling of configurations. */
  readonly address: string;
  /** Whether an IPv6 socket takes IPv4 connections too, where it is bound to `[::]`. */
  readonly dualStack: boolean;
}

const value = Buffer.alloc(4);

/** An endpoint in the kernel's spelling, or a Unix socket as `unix:PATH`: what a listening socket is known by. */
export function addressOf(
  listen: { readonly host: string; readonly port: number } | { readonly socket: string },
): string {
  if ('socket' in listen) return `unix:${listen.socket}`;
  return formatVip(makeFlow(listen.host, 0, listen.host, listen.port));
}

/** Undefined where the descriptor is no socket. */
export function describeSocket(fd: number): BoundSocket | undefined {
  const sockaddr = Buffer.alloc(MOST_ADDRESS_BYTES);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(MOST_ADDRESS_BYTES, 0);
  if (getsockname(fd, sockaddr, length) < 0) return undefined;
  const family = sockaddr.readUInt16LE(0);
  const stream = option(fd, SOL_SOCKET, SO_TYPE) === SOCK_STREAM;
  if (family === AF_UNIX) {
    const path = sockaddr.toString('utf8', 2, length.readUInt32LE(0)).replace(/\0.*$/s, '');
    return { kind: stream ? 'stream' : 'other', address: `unix:${path}`, dualStack: false };
  }
  if (family !== AF_INET && family !== AF_INET6) {
    return { kind: 'other', address: `address family ${family}`, dualStack: false };
  }
  // Not so for MPTCP sockets, which have no repair mode.
  const tcp = stream && option(fd, SOL_SOCKET, SO_PROTOCOL) === IPPROTO_TCP;
  const flow = Buffer.alloc(FLOW_BYTES);
  flowVipFromSockaddr(sockaddr, flow);
  const dualStack = family === AF_INET6 && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) === 0;
  return { kind: tcp ? 'tcp' : 'other', address: formatVip(flow), dualStack };
}

function option(fd: number, level: number, name: number): number {
  const result = getOption(fd, level, name, value, value.length);
  if (result < 0) throw new KernelError(`read option ${name} of descriptor ${fd}`, -result);
  return value.readInt32LE(0);
}
