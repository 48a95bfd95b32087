import { formatAddress, isMapped, parseAddress } from '../kernel/flow';

const ADDRESS_BYTES = 16;
const ADDRESS_BITS = 8 * ADDRESS_BYTES;
/** Bits before an IPv4 address that is written as IPv6: `10.0.0.0/8` has 104. */
const MAPPED_BITS = 96;

const SPELLING = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/;

/**
 * A network, or one address. It is compared in the form that clients have in a flow, 16 bytes with IPv4 mapped. So
 * `::ffff:10.0.0.0/104` is `10.0.0.0/8`, and `::/0` is all of IPv6 and nothing of IPv4.
 */
export class Network {
  private readonly v4: boolean;
  /** Bytes that are all of the prefix; of the next one the bits of the mask are. */
  private readonly wholeBytes: number;
  private readonly mask: number;

  private constructor(
    private readonly address: Buffer,
    private readonly bits: number,
  ) {
    this.v4 = bits >= MAPPED_BITS && isMapped(address, 0);
    this.wholeBytes = bits >> 3;
    this.mask = 0xff & ~(0xff >> (bits & 7));
  }

  /** `10.0.0.0/8`, `2001:db8::/32`, `10.0.0.1`; undefined for anything else, and for an address with a zone. */
  static parse(text: string): Network | undefined {
    const [, literal = '', length] = SPELLING.exec(text) ?? [];
    const before = literal.includes(':') ? 0 : MAPPED_BITS;
    const bits = length === undefined ? ADDRESS_BITS : before + Number(length);
    try {
      return bits > ADDRESS_BITS ? undefined : new Network(parseAddress(literal), bits);
    } catch (error) {
      if (error instanceof RangeError) return undefined;
      throw error;
    }
  }

  /** Whether an address is in it: the first 16 bytes of what is given. */
  holds(client: Buffer): boolean {
    const { address, wholeBytes, mask } = this;
    for (let at = 0; at < wholeBytes; at++) {
      if (client[at] !== address[at]) return false;
    }
    if (mask !== 0 && (((client[wholeBytes] as number) ^ (address[wholeBytes] as number)) & mask) !== 0)
      return false;
    return this.v4 || !isMapped(client, 0);
  }

  /** The network that the address is in: without the bits behind the prefix. */
  get base(): Network {
    const address = Buffer.alloc(ADDRESS_BYTES);
    this.address.copy(address, 0, 0, this.wholeBytes);
    if (this.mask !== 0) address[this.wholeBytes] = (this.address[this.wholeBytes] as number) & this.mask;
    return new Network(address, this.bits);
  }

  /** The usual spelling, without the length of a prefix that is a whole address. */
  toString(): string {
    const address = formatAddress(this.address);
    return this.bits === ADDRESS_BITS ? address : `${address}/${this.bits - (this.v4 ? MAPPED_BITS : 0)}`;
  }
}
