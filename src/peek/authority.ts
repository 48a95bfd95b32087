import { isIPv6 } from 'node:net';
import * as octet from './octets';

/** The longest spelling of an IPv6 address: six groups of four digits and a dotted IPv4 address. */
const MAX_IPV6_LENGTH = 45;
const MAX_PORT = 65535;

/**
 * A host with an optional port, as in the Host field and in an absolute request target
 * (RFC 3986 section 3.2, without userinfo). Reusable: each read() overwrites the last one.
 */
export class Authority {
  /** Offsets of the host, without the brackets of an IPv6 literal. */
  start = 0;
  end = 0;
  /** -1 when none is given; `host:` gives none. */
  port = -1;

  /** Whether bytes [start, end) are a valid authority with a host that is not empty. */
  read(bytes: Buffer, start: number, end: number): boolean {
    const literal = start < end && bytes[start] === octet.LEFT_BRACKET;
    this.start = literal ? start + 1 : start;
    this.end = literal ? endOfLiteral(bytes, this.start, end) : octet.skip(octet.REG_NAME, bytes, start, end);
    if (this.end <= this.start) return false;
    return this.readPort(bytes, literal ? this.end + 1 : this.end, end);
  }

  /** Whether both name the same host and port; a port that is not given is the default one. */
  matches(bytes: Buffer, other: Authority, defaultPort: number): boolean {
    const length = this.end - this.start;
    return (
      other.end - other.start === length &&
      (this.port < 0 ? defaultPort : this.port) === (other.port < 0 ? defaultPort : other.port) &&
      octet.sameIgnoreCase(bytes, this.start, other.start, length)
    );
  }

  private readPort(bytes: Buffer, at: number, end: number): boolean {
    this.port = -1;
    if (at === end) return true;
    if (bytes[at] !== octet.COLON) return false;
    if (at + 1 === end) return true;
    let port = 0;
    for (let i = at + 1; i < end; i++) {
      if (!octet.isOf(octet.DIGIT, bytes, i)) return false;
      port = port * 10 + ((bytes[i] as number) - octet.ZERO);
      if (port > MAX_PORT) return false;
    }
    this.port = port;
    return true;
  }
}

/** The offset of the bracket that closes an IPv6 literal; -1 when it is not one. */
function endOfLiteral(bytes: Buffer, start: number, end: number): number {
  const at = octet.skip(octet.IPV6, bytes, start, end);
  if (at === end || bytes[at] !== octet.RIGHT_BRACKET || at - start > MAX_IPV6_LENGTH) return -1;
  // Literals are rare enough that making a string for the platform's own check costs nothing that matters.
  return isIPv6(bytes.toString('latin1', start, at)) ? at : -1;
}
