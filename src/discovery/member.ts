import { parseAddress } from '../config/addresses';

/** Something that a name stands for: a backend, as far as DNS knows it. JSON. */
export interface Member {
  /** The backend's: a host name in lower case, or an address with `-` for `:`. */
  readonly name: string;
  /** Canonical, at most one per family, IPv4 first. */
  readonly addresses: readonly { readonly host: string; readonly family: 4 | 6 }[];
  /** The agent's control port; absent where records have none. */
  readonly port?: number;
  readonly weight?: number;
}

/** As many as a pool may list. */
export const MAX_MEMBERS = 1024;

/** What backends may be called (config/fields.ts), of which DNS allows more. */
const BACKEND_NAME = /^[a-z0-9._-]{1,64}$/;

/** The name of a backend that is known by its address alone. */
export function nameOfAddress(host: string): string {
  return host.replaceAll(':', '-');
}

/** A target of an SRV record as the name of a backend: lower case, without a final dot; undefined where it cannot be one. */
export function nameOfTarget(target: string): string | undefined {
  const name = target.toLowerCase().replace(/\.$/, '');
  return BACKEND_NAME.test(name) && !name.startsWith('.') && !name.includes('..') ? name : undefined;
}

/** A record's address in canonical spelling, or why no backend can be there. */
export function memberAddress(
  text: string,
  family: 4 | 6,
  loopback: boolean,
): { readonly host: string; readonly family: 4 | 6 } | string {
  const address = parseAddress(text);
  if (address?.family !== family) return `is no IPv${family} address`;
  const kind = family === 4 ? kindOf4(address.host) : kindOf6(address.host);
  if (kind === undefined || (kind === LOOPBACK && loopback)) return address;
  return `is ${kind}`;
}

const LOOPBACK = 'a loopback address';

/** Of the special-purpose addresses (RFC 6890) those that are no host's, or this host's. */
function kindOf4(host: string): string | undefined {
  const first = Number(host.split('.')[0]);
  if (first === 0) return 'an unspecified address';
  if (first === 127) return LOOPBACK;
  if (first >= 240) return 'a reserved address';
  return first >= 224 ? 'a multicast address' : undefined;
}

/** `host` is canonical, so its first group shows what it is. */
function kindOf6(host: string): string | undefined {
  if (host === '::') return 'an unspecified address';
  if (host === '::1') return LOOPBACK;
  const first = parseInt(host, 16);
  if (first >= 0xff00) return 'a multicast address';
  // Without a zone nobody knows on which link (RFC 4291 section 2.5.6).
  return first >= 0xfe80 && first <= 0xfebf ? 'a link-local address' : undefined;
}
