import type { IncomingMessage } from 'node:http';
import { eachField, listOf } from './fields';
import { hasBody } from './request-body';

/**
 * Whether an Upgrade is worth passing on. A server may ignore the field (RFC 9110 section 7.8), and the relay does:
 *
 * - with a body, which belongs to the old protocol but has not been read yet (Java's HTTP client asks for h2c on
 *   every request, bodies or not);
 * - for h2c, which RFC 9113 section 3.1 withdrew and which would carry requests past the relay;
 * - from HTTP/1.0, where RFC 9110 demands it.
 */
export function isTunnelRequest(request: IncomingMessage): boolean {
  if (request.httpVersionMinor === 0 || hasBody(request)) return false;
  return !listOf(request.rawHeaders, 'upgrade').includes('h2c');
}

/** The head of `request` again, without anything that asks for an upgrade; in the bytes of the wire. */
export function withoutUpgrade(request: IncomingMessage): Buffer {
  const lines = [`${request.method ?? ''} ${request.url ?? ''} HTTP/1.${request.httpVersionMinor}`];
  eachField(request.rawHeaders, (name, value, key) => {
    if (key !== 'upgrade' && key !== 'http2-settings' && key !== 'connection')
      lines.push(`${name}: ${value}`);
  });
  const options = listOf(request.rawHeaders, 'connection').filter(
    (option) => option !== 'upgrade' && option !== 'http2-settings',
  );
  if (options.length > 0) lines.push(`Connection: ${options.join(', ')}`);
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}
