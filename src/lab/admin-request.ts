import { request } from 'node:http';
import { connectInside } from '../kernel/namespace';
import type { Host } from './host';
import { NETNS_DIR } from './ip';

/** Milliseconds: an API that does not answer is a program that stands still, and that is not waited for. */
const TIMEOUT_MS = 5_000;

export interface AdminRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly token: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** On the loopback of the host, or a Unix socket's path, which is the same on every host. */
  readonly at: number | string;
}

export interface AdminAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * Asks an admin API from its own host. This process does it by itself: labs ask all the time while they wait, and to start a
 * program in the namespace for each question takes ten times as long as the answer.
 */
export function askAdmin(
  host: Host,
  { method, path, token, at, body: given }: AdminRequest,
): Promise<AdminAnswer> {
  const host4 = '127.0.0.1';
  const way =
    typeof at === 'string'
      ? { socketPath: at, agent: false }
      : { createConnection: () => connectInside(`${NETNS_DIR}/${host.netns}`, host4, at) };
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(new Error(`${method} ${path} on ${host.name} at ${at}: ${cause.message}`, { cause }));
    const asked = request({
      ...way,
      method,
      path,
      headers: {
        host: host4,
        authorization: `Bearer ${token}`,
        ...(given !== undefined && { 'content-type': 'application/json' }),
      },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    asked.once('error', fail);
    asked.once('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (piece: string) => (body += piece));
      response.once('error', fail).once('end', () => resolve({ status: response.statusCode ?? NaN, body }));
    });
    asked.end(given === undefined ? undefined : JSON.stringify(given));
  });
}
