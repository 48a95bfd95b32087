/**
 * Which offers an agent takes. A front may be confused, or not what it says it is: what it offers must not reach further
 * than to connections that it could hand over anyway.
 *
 * - Only connections to the VIPs of the configuration, and to their ports where it names them.
 * - Only clients elsewhere: applications trust connections that seem to come from their own host.
 * - A flow that waits for another front's decision is not free.
 * - A flow that is live here belongs to the front that handed it over. That one may offer it again: its client has shaken
 *   hands with it from the same port, so the old connection is dead. Another front's word for that is not taken, because
 *   the new copy would cost a connection that may be alive; this front finds another backend or relays.
 * - No more memory than PREPARED_BYTES, whoever asks.
 */
import { FLOW_BYTES, formatAddress } from '../kernel/flow';
import { CLIENT, FLOW, HEADER_BYTES, VIP, VIP_PORT } from '../repair/layout';
import type { OwnAddresses } from './own-addresses';
import { RejectedOffer } from './rejected-offer';

/**
 * What prepared connections of all channels may hold in their queues. They wait for milliseconds, most of them with a
 * request head; a client that uploads has sent at most its first window, 64 KiB, and a channel has 4096 offers at once.
 * The kernel's overhead comes on top, up to three times as much again.
 */
export const PREPARED_BYTES = 256 * 1024 * 1024;
/** What a connection takes with empty queues: a socket, a descriptor, a few objects. So there are 65,536 at most. */
export const SOCKET_BYTES = 4096;

/** A VIP that connections may be restored on. */
export interface AllowedVip {
  /** 16 bytes, as in a flow. */
  readonly address: Buffer;
  /** Any port without it. */
  readonly port?: number;
}

/** What an offer holds until the connection is live or gone. */
export interface Claim {
  readonly flow: string;
  bytes: number;
  /** An open connection of the same flow makes way. */
  readonly replacesOpen: boolean;
}

/** Node name of the front that handed over the live connection of a flow (Latin-1 text of its bytes), if there is one. */
export interface Holders {
  holderOf(flow: string): string | undefined;
}

export class Admission {
  readonly #vips = new Map<string, ReadonlySet<number> | 'any'>();
  readonly #claimed = new Set<string>();
  #bytes = 0;

  constructor(
    vips: readonly AllowedVip[],
    private readonly live: Holders,
    private readonly own: OwnAddresses,
  ) {
    for (const { address, port } of vips) {
      const key = address.toString('latin1');
      const known = this.#vips.get(key);
      if (port === undefined || known === 'any') this.#vips.set(key, 'any');
      else this.#vips.set(key, new Set([...(known ?? []), port]));
    }
  }

  /** Claims the flow and the memory of a snapshot that has been checked; throws a RejectedOffer. */
  claim(bytes: Buffer, offset: number, length: number, front: string): Claim {
    this.#checkVip(bytes, offset);
    this.#checkClient(bytes, offset);
    const flow = bytes.toString('latin1', offset + FLOW, offset + FLOW + FLOW_BYTES);
    const replacesOpen = this.#checkFree(flow, front);
    const claimed = SOCKET_BYTES + length - HEADER_BYTES;
    if (this.#bytes + claimed > PREPARED_BYTES) {
      const held = `prepared connections of all fronts hold ${this.#bytes} bytes`;
      throw new RejectedOffer('too_many_offers', `${held}, ${claimed} more would exceed ${PREPARED_BYTES}`);
    }
    this.#claimed.add(flow);
    this.#bytes += claimed;
    return { flow, bytes: claimed, replacesOpen };
  }

  /** So many bytes more; false where that is too much, and then nothing has changed. */
  grow(claim: Claim, bytes: number): boolean {
    if (this.#bytes + bytes > PREPARED_BYTES) return false;
    this.#bytes += bytes;
    claim.bytes += bytes;
    return true;
  }

  /** The connection is live, or gone. */
  release({ flow, bytes }: Claim): void {
    this.#claimed.delete(flow);
    this.#bytes -= bytes;
  }

  #checkVip(bytes: Buffer, offset: number): void {
    const ports = this.#vips.get(bytes.toString('latin1', offset + VIP, offset + VIP + 16));
    const port = bytes.readUInt16BE(offset + VIP_PORT);
    if (ports === undefined) throw new RejectedOffer('vip_not_allowed', 'not one of vips');
    if (ports !== 'any' && !ports.has(port))
      throw new RejectedOffer('vip_not_allowed', `port ${port} is not one of the VIP's ports`);
  }

  #checkClient(bytes: Buffer, offset: number): void {
    if (!this.own.has(bytes.toString('latin1', offset + CLIENT, offset + CLIENT + 16))) return;
    const client = formatAddress(bytes, offset + CLIENT);
    throw new RejectedOffer('malformed_snapshot', `the client's address ${client} is one of this host's`);
  }

  /** Returns whether an open connection makes way. */
  #checkFree(flow: string, front: string): boolean {
    if (this.#claimed.has(flow)) throw new RejectedOffer('address_in_use', 'the flow waits for a decision');
    const holder = this.live.holderOf(flow);
    if (holder !== undefined && holder !== front)
      throw new RejectedOffer('address_in_use', `the flow is live, handed over by ${holder}`);
    return holder !== undefined;
  }
}
