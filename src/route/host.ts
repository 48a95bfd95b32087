import { isIPv6, SocketAddress } from 'node:net';

/**
 * A host as rules compare it: `a.example.` is `a.example`, the same name with its root spelled out, and an IPv6 address
 * has one spelling. Case and port are no part of a RoutableHead's host.
 */
export function normaliseHost(host: string): string {
  if (host.includes(':'))
    return isIPv6(host) ? new SocketAddress({ address: host, family: 'ipv6' }).address : host;
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/** The hosts of a match as a RoutableHead's normalised host would match them, `*.` before suffixes, each once. */
export function normaliseHostPatterns(patterns: readonly string[]): string[] {
  return [...new Set(patterns.map((pattern) => normaliseHost(pattern.toLowerCase())))];
}

export function isSuffixPattern(pattern: string): boolean {
  return pattern.startsWith('*.');
}
