import type { IncomingMessage } from 'node:http';
import type { HeadChanges } from '../peek/head';
import type { RawFields } from './fields';

/** The origin to ask in place of those that were tried, or undefined where there is none. */
export type AnotherOrigin = (tried: readonly string[]) => string | undefined;

/** A request that goes to an origin, a URL of scheme, host and port: `http://198.18.0.21:8080`. */
export interface Forward {
  readonly origin: string;
  /** Absent: there is no other. */
  readonly another?: AnotherOrigin;
  /** What is changed of its head. */
  readonly changes?: HeadChanges | undefined;
}

/** An answer that no origin is asked for. */
export interface Answer {
  readonly status: number;
  /** Without Date, Connection and what says how long the body is. */
  readonly fields: RawFields;
  readonly body: Buffer;
}

/** Where a request goes: to an origin, or back with an answer or a status that refuses it. */
export type Destination = Forward | Answer | 404 | 503;

export type DestinationOf = (request: IncomingMessage) => Destination;

/** Whether answers of this status have no body, and so no length (RFC 9110 section 8.6). */
export function isBodiless(status: number): boolean {
  return status === 204 || status === 304;
}
