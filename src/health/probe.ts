import { connect } from 'node:net';
import { Client, type buildConnector, type Dispatcher } from 'undici';
import type { Endpoint } from '../config/model';

/** Enough for any status page; the rest of a larger body is not read. */
const BODY_LIMIT_BYTES = 64 * 1024;
/** A cause goes into logs and tables, and the path in it may be long. */
const CAUSE_LIMIT_CHARS = 160;

/** The outcome of one check; `cause` is one short line in either case. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly cause: string;
}

/**
 * One `GET path` on a connection of its own, which shows that the host still accepts. 200 to 399 is a success,
 * redirects are not followed. `timeout` (milliseconds) covers everything from connect to the end of the body.
 * Aborting `signal` ends the check as a failure. Never rejects; nothing is left open afterwards.
 */
export async function probe(
  target: Endpoint,
  path: string,
  timeout: number,
  signal: AbortSignal,
): Promise<ProbeResult> {
  const check = new AbortController();
  const stop = (): void => check.abort(new Error('check stopped'));
  const timer = setTimeout(() => check.abort(new Error(`timeout after ${timeout} ms`)), timeout);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    const status = await fetchStatus(target, path, check.signal);
    return { ok: status >= 200 && status < 400, cause: `GET ${path}: ${status}` };
  } catch (error) {
    return {
      ok: false,
      cause: describe(path, (check.signal.aborted ? check.signal.reason : error) as Error),
    };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

async function fetchStatus(target: Endpoint, path: string, signal: AbortSignal): Promise<number> {
  const authority = `${target.family === 6 ? `[${target.host}]` : target.host}:${target.port}`;
  const client = new Client(`http://${authority}`, {
    connect: connectorTo(target, signal),
    // The caller's timer covers the whole check.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  try {
    const response = await client.request({
      method: 'GET',
      path,
      headers: { host: authority, 'user-agent': 'baton-health' },
      reset: true,
      signal,
    });
    await discard(response.body);
    return response.statusCode;
  } finally {
    await client.destroy();
  }
}

/** undici does not abort a connection attempt together with its request; a signal of the socket's own does. */
function connectorTo(target: Endpoint, signal: AbortSignal): buildConnector.connector {
  return (_options, callback) => {
    const socket = connect({ host: target.host, port: target.port, signal, noDelay: true });
    const onError = (error: Error): void => callback(error, null);
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      callback(null, socket);
    });
  };
}

/** Reads to the end or to the limit, so that a backend that stalls or breaks off in mid-response is noticed. */
async function discard(body: Dispatcher.ResponseData['body']): Promise<void> {
  let read = 0;
  for await (const chunk of body) {
    read += (chunk as Buffer).length;
    if (read > BODY_LIMIT_BYTES) return;
  }
}

function describe(path: string, { message }: Error): string {
  const step = /^(connect|timeout|check) /.test(message) ? message : `GET ${path}: ${message}`;
  return step.replace(/\s+/g, ' ').slice(0, CAUSE_LIMIT_CHARS);
}
