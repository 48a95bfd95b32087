import type { ServerResponse } from 'node:http';
import type { RelayContext } from './context';
import { bodyPending } from './finish';
import { eachField, endToEnd, listOf, valuesOf, type RawFields } from './fields';

/** RFC 9110 section 6.5.1: fields about framing and routing mean nothing after the body. */
const NO_TRAILERS = new Set(['content-length', 'host', 'content-encoding', 'content-type', 'content-range']);

/** The head of an origin's final response as far as it is passed on. */
export interface ResponseHead {
  readonly status: number;
  /** The reason phrase as sent, may be empty. */
  readonly reason: string;
  readonly raw: RawFields;
}

/**
 * Writes the head; the framing of the body towards the client is left to Node, which knows the client's version.
 * @throws Error (ERR_INVALID_CHAR) for octets in the head that HTTP does not allow.
 */
export function writeHead(
  response: ServerResponse,
  head: ResponseHead,
  { hooks, state }: RelayContext,
): void {
  const fields = endToEnd(head.raw);
  if (isChunked(response, head.status, fields)) {
    for (const value of valuesOf(head.raw, 'trailer')) fields.push('Trailer', value);
  }
  // An error before the end of the request asks the client to stop sending (RFC 9112 section 9.3); an early success
  // is a stream in both directions, which needs no such thing.
  const early = head.status >= 400 && bodyPending(response.req);
  if (early || state.closing) response.shouldKeepAlive = false;
  response.writeHead(head.status, head.reason, fields);
  hooks.onResponse?.(head.status);
}

/** Whether Node is going to send the body in chunks, the only framing with room for trailers. */
function isChunked(response: ServerResponse, status: number, fields: RawFields): boolean {
  if (response.req.method === 'HEAD' || status === 204 || status === 304) return false;
  return response.useChunkedEncodingByDefault && valuesOf(fields, 'content-length').length === 0;
}

/** Adds the trailers that the framing towards the client has room for. */
export function writeTrailers(response: ServerResponse, raw: RawFields): void {
  if (raw.length === 0 || !response.chunkedEncoding) return;
  const trailers: [string, string][] = [];
  eachField(endToEnd(raw), (name, value, key) => {
    if (!NO_TRAILERS.has(key)) trailers.push([name, value]);
  });
  response.addTrailers(trailers);
}

/**
 * Passes an interim response on (RFC 9110 section 15.2). Of 103 only Link fields go on, and of those only what Node
 * accepts: hints are optional, so one that it refuses is dropped. HTTP/1.0 clients know no interim responses.
 */
export function writeInterim(response: ServerResponse, status: number, raw: RawFields): void {
  if (response.req.httpVersionMinor === 0) return;
  if (status === 102) response.writeProcessing();
  if (status !== 103) return;
  const link = valuesOf(raw, 'link');
  if (link.length === 0 || listOf(raw, 'connection').includes('link')) return;
  try {
    response.writeEarlyHints({ link });
  } catch {
    // The final response follows in any case.
  }
}
