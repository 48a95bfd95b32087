import { parseAddress } from '../kernel/flow';
import { NO_HEAD, type Asker, type RoutableHead } from '../peek/head';
import { Http1Peek } from '../peek/http1';

/** A request that somebody asks about. */
export interface Question {
  readonly method: string;
  readonly host: string;
  /** With its query, if it has one. */
  readonly path: string;
  /** Fields, `Name: value` or `Name=value`. */
  readonly headers: readonly string[];
  /** An IP address. */
  readonly client: string;
  /** Name of the listener; '' for the first one that has heads. */
  readonly listener: string;
}

/** What a question leaves out. */
export const USUAL: Question = {
  method: 'GET',
  host: '',
  path: '/',
  headers: [],
  client: '0.0.0.0',
  listener: '',
};

/** How the front would read the request, or refuse to. */
export type AskedRequest =
  | { readonly head: RoutableHead; readonly asker: Asker }
  | { readonly refused: { readonly status: number; readonly reason: string } };

/**
 * Reads a question as the head of a connection would be read. Throws a RangeError for a client that is no IP address, or for
 * an option that would end its line of the head.
 */
export function readQuestion(question: Question, headBytes: number): AskedRequest {
  const { method, host, path, headers, client, listener } = question;
  for (const part of [method, host, path, ...headers]) {
    if (/[\r\n]/.test(part)) throw new RangeError(`${JSON.stringify(part)} has more than one line`);
  }
  if (headers.includes('')) throw new RangeError('a header is empty');
  const lines = [`${method} ${path} HTTP/1.1`, `Host: ${host}`, ...headers.map(lineOf)];
  const bytes = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'utf8');
  const head = new Http1Peek(headBytes);
  const outcome = head.read(bytes, Math.min(bytes.length, headBytes));
  if (outcome === 'head') return { head, asker: { client: parseAddress(client), listener } };
  const { status, reason } = outcome === 'more' ? { status: 431, reason: 'head_too_large' } : head;
  return { refused: { status, reason } };
}

/** A connection without a head, of which the client and the listener alone are asked. */
export function readConnection({ client, listener }: Question): AskedRequest {
  return { head: NO_HEAD, asker: { client: parseAddress(client), listener } };
}

function lineOf(header: string): string {
  return header.replace(/^([^:=]*)=/, '$1: ');
}
