/**
 * What this kernel knows of a connection by its addresses, and the end of it (netlink SOCK_DIAG, SOCK_DESTROY).
 *
 * Needed where a client has begun a new connection from a port whose old connection this host has not forgotten: the
 * kernel refuses the tuple as long as its TIME_WAIT or its socket is there.
 */
import { ENOENT, ESTALE, must } from './errors';
import { flowFamily } from './flow';
import * as libc from './libc';
import { AF_INET, AF_INET6, IPPROTO_TCP, SOCK_CLOEXEC } from './socket';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const SOCK_DESTROY = 21;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const ALL_STATES = 0xffffffff;

// struct nlmsghdr (16) and struct inet_diag_req_v2 (56), include/uapi/linux/{netlink,inet_diag}.h.
const HEADER_BYTES = 16;
const REQUEST_BYTES = HEADER_BYTES + 56;
const TYPE = 4;
const FLAGS = 6;
const SEQUENCE = 8;
const FAMILY = HEADER_BYTES;
const PROTOCOL = HEADER_BYTES + 1;
const STATES = HEADER_BYTES + 4;
const SOURCE_PORT = HEADER_BYTES + 8;
const DESTINATION_PORT = HEADER_BYTES + 10;
const SOURCE = HEADER_BYTES + 12;
const DESTINATION = HEADER_BYTES + 28;
const COOKIE = HEADER_BYTES + 48;
const COOKIE_BYTES = 8;
// struct inet_diag_msg behind the header of an answer.
const FOUND_STATE = HEADER_BYTES + 1;
const FOUND_COOKIE = HEADER_BYTES + 44;
const FOUND_UNACKNOWLEDGED = HEADER_BYTES + 60;
const FOUND_INODE = HEADER_BYTES + 68;

const TCP_LISTEN = 10;

/** INET_DIAG_NOCOOKIE: whichever socket has the addresses. */
const ANY_COOKIE: Buffer = Buffer.alloc(COOKIE_BYTES, 0xff);

/** A socket of this host that has a flow's addresses. */
export interface KnownSocket {
  /** Bytes that the client has not acknowledged; a FIN counts as one. */
  readonly unacknowledged: number;
  /** No process has it: TIME_WAIT, or what is left of a connection that its process has closed. */
  readonly orphan: boolean;
  /** Tells it from every other socket, also of the same addresses. */
  readonly cookie: Buffer;
}

/** A FIN counts as a byte; a client that lacks nothing else lacks no data. */
const A_FIN = 1;

/** Whether no process has the socket any more and its client still lacks data. */
export function isUndelivered({ orphan, unacknowledged }: Omit<KnownSocket, 'cookie'>): boolean {
  return orphan && unacknowledged > A_FIN;
}

export class SockDiag {
  readonly #fd = must(
    libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG),
    'open netlink socket',
  );
  readonly #request = Buffer.alloc(REQUEST_BYTES);
  readonly #reply = Buffer.alloc(4096);

  /**
   * This host's side (VIP to client) of a flow, in whatever state it is. The kernel answers while the request is being
   * sent, so this never blocks.
   */
  find(flow: Buffer, offset: number): KnownSocket | undefined {
    this.#ask(SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, flow, offset);
    if (this.#reply.readUInt16LE(TYPE) !== SOCK_DIAG_BY_FAMILY) {
      this.#expectFound('look for an old connection of the same addresses');
      return undefined;
    }
    // Where no connection has the addresses, the kernel finds who listens there.
    if (this.#reply[FOUND_STATE] === TCP_LISTEN) return undefined;
    return {
      unacknowledged: this.#reply.readUInt32LE(FOUND_UNACKNOWLEDGED),
      orphan: this.#reply.readUInt32LE(FOUND_INODE) === 0,
      cookie: Buffer.from(this.#reply.subarray(FOUND_COOKIE, FOUND_COOKIE + COOKIE_BYTES)),
    };
  }

  /** Destroys that socket and no other; false when it is gone. */
  destroy(flow: Buffer, offset: number, { cookie }: KnownSocket): boolean {
    this.#ask(SOCK_DESTROY, NLM_F_REQUEST | NLM_F_ACK, flow, offset, cookie);
    return this.#expectFound('destroy the old connection of the same addresses');
  }

  /** Reads the result of a request that has not been answered with a socket. */
  #expectFound(step: string): boolean {
    const result = this.#reply.readInt32LE(HEADER_BYTES);
    if (result === -ENOENT || result === -ESTALE) return false;
    must(result, step);
    return true;
  }

  #ask(type: number, flags: number, flow: Buffer, offset: number, cookie = ANY_COOKIE): void {
    const request = this.#request.fill(0);
    const ipv4 = flowFamily(flow, offset) === 4;
    request.writeUInt32LE(REQUEST_BYTES, 0);
    request.writeUInt16LE(type, TYPE);
    request.writeUInt16LE(flags, FLAGS);
    request.writeUInt32LE(1, SEQUENCE);
    request[FAMILY] = ipv4 ? AF_INET : AF_INET6;
    request[PROTOCOL] = IPPROTO_TCP;
    request.writeUInt32LE(ALL_STATES, STATES);
    // The local side is the VIP; ports and addresses are in network order, an IPv4 address in the first four bytes.
    flow.copy(request, SOURCE_PORT, offset + 34, offset + 36);
    flow.copy(request, DESTINATION_PORT, offset + 32, offset + 34);
    const skip = ipv4 ? 12 : 0;
    flow.copy(request, SOURCE, offset + 16 + skip, offset + 32);
    flow.copy(request, DESTINATION, offset + skip, offset + 16);
    cookie.copy(request, COOKIE);
    must(libc.send(this.#fd, request, REQUEST_BYTES, 0), 'send a SOCK_DIAG request');
    must(libc.recv(this.#fd, this.#reply, this.#reply.length, 0), 'receive a SOCK_DIAG answer');
  }

  close(): void {
    libc.close(this.#fd);
  }
}
