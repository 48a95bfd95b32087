import { SocketAddress, isIPv4, isIPv6 } from 'node:net';
import type { Endpoint, VipConfig } from './model';

/** An IP address in canonical spelling, so that equal addresses are equal strings. */
interface Address {
  readonly host: string;
  readonly family: 4 | 6;
}

const ENDPOINT = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/;

/**
 * `198.18.0.1` or `2001:db8::1` -> address. Undefined for anything else, for scoped addresses (the kernel's flow tuple
 * has no zone) and for IPv4-mapped ones (they are IPv4 on the wire, so they would name the same flow in two ways).
 */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { host: text, family: 4 };
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const host = new SocketAddress({ address: text, family: 'ipv6' }).address;
  return host.startsWith('::ffff:') && host.includes('.') ? undefined : { host, family: 6 };
}

/** `198.18.0.1:80` or `[2001:db8::1]:80` -> endpoint, port 0 to 65535; undefined for anything else. */
export function parseEndpoint(text: string): Endpoint | undefined {
  const match = ENDPOINT.exec(text);
  if (!match) return undefined;
  const [, bracketed, plain] = match;
  const address = parseAddress(bracketed ?? plain ?? '');
  const port = Number(match[3]);
  if (!address || port > 65535 || (address.family === 6) !== (bracketed !== undefined)) return undefined;
  return { ...address, port };
}

/** `198.19.0.1`, `2001:db8::1`, or with a port from 1 on: `198.19.0.1:80`, `[2001:db8::1]:80`; undefined for anything else. */
export function parseVip(text: string): VipConfig | undefined {
  const endpoint = parseEndpoint(text);
  return endpoint === undefined ? parseAddress(text) : endpoint.port > 0 ? endpoint : undefined;
}

/** The inverse of `parseVip`. */
export function formatVip({ host, port }: VipConfig): string {
  return port === undefined ? host : formatEndpoint({ host, port });
}

/** The inverse of `parseEndpoint`. */
export function formatEndpoint({ host, port }: Pick<Endpoint, 'host' | 'port'>): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
