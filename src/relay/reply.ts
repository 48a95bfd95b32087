import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { RelayContext } from './context';
import { isBodiless, type Answer } from './destination';
import { bodyPending, finish } from './finish';

const TIMEOUTS = new Set(['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_CONNECT_TIMEOUT', 'ETIMEDOUT']);
const STOPPED = new Set(['UND_ERR_DESTROYED', 'UND_ERR_CLOSED']);

/** The status that tells a client why its request could not be relayed (RFC 9110 section 15.6). */
export function statusFor(error: Error): number {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (TIMEOUTS.has(code)) return 504;
  if (STOPPED.has(code)) return 503;
  // undici checks what it is asked to send, and everything in a request is the client's.
  return code === 'UND_ERR_INVALID_ARG' ? 400 : 502;
}

/** Answers in the relay's own name with a line of plain text. Nothing may have been written yet. */
export function reply(response: ServerResponse, status: number, context: RelayContext): void {
  const body = Buffer.from(`${status} ${STATUS_CODES[status] ?? ''}\n`);
  const fields = ['Content-Type', 'text/plain; charset=utf-8'];
  // RFC 9110 section 10.2.3: a moment is enough for a reload or for a backend to come up.
  if (status === 503) fields.push('Retry-After', '1');
  answer(response, { status, fields, body }, context);
}

/** Gives an answer that no origin was asked for. Nothing may have been written yet. */
export function answer(
  response: ServerResponse,
  { status, fields, body }: Answer,
  { limits, hooks, state }: RelayContext,
): void {
  const length = isBodiless(status) ? [] : ['Content-Length', String(body.length)];
  // Whatever the client still sends is of no use to anybody; closing tells it so.
  if (state.closing || bodyPending(response.req)) response.shouldKeepAlive = false;
  response.writeHead(status, [...fields, ...length]);
  // Of an answer to HEAD, Node writes the head alone.
  if (body.length > 0) response.write(body);
  finish(response, limits.lingerTimeout);
  hooks.onResponse?.(status);
}
