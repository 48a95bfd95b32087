/**
 * Ends a connection that this kernel still knows, by its addresses (netlink SOCK_DIAG, SOCK_DESTROY).
 *
 * Needed where a client has begun a new connection from a port whose old connection this host has not forgotten: the
 * handshake with the front proves that the old one is dead, but the kernel refuses the tuple as long as its TIME_WAIT
 * or its socket is there.
 */
import { ENOENT, must } from './errors';
import { flowFamily } from './flow';
import * as libc from './libc';
import { AF_INET, AF_INET6, IPPROTO_TCP, SOCK_CLOEXEC } from './socket';

const AF_NETLINK = 16;
const SOCK_RAW = 3;
const NETLINK_SOCK_DIAG = 4;
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

export class SockDiag {
  readonly #fd = must(
    libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG),
    'open netlink socket',
  );
  readonly #request = Buffer.alloc(REQUEST_BYTES);
  readonly #reply = Buffer.alloc(4096);

  /**
   * Destroys this host's side (VIP to client) of a flow, in whatever state it is. True when there was one. The kernel
   * answers while the request is being sent, so this never blocks.
   */
  destroy(flow: Buffer, offset: number): boolean {
    const request = this.#request.fill(0);
    const ipv4 = flowFamily(flow, offset) === 4;
    request.writeUInt32LE(REQUEST_BYTES, 0);
    request.writeUInt16LE(SOCK_DESTROY, TYPE);
    request.writeUInt16LE(NLM_F_REQUEST | NLM_F_ACK, FLAGS);
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
    request.fill(0xff, COOKIE, COOKIE + 8); // INET_DIAG_NOCOOKIE: whichever socket has these addresses
    must(libc.send(this.#fd, request, REQUEST_BYTES, 0), 'send SOCK_DESTROY');
    must(libc.recv(this.#fd, this.#reply, this.#reply.length, 0), 'receive SOCK_DESTROY answer');
    const result = this.#reply.readInt32LE(HEADER_BYTES);
    if (result === -ENOENT) return false;
    must(result, 'destroy the old connection of the same addresses');
    return true;
  }

  close(): void {
    libc.close(this.#fd);
  }
}
