import { addAbortSignal } from 'node:stream';
import { connect, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, type SecureContext } from 'node:tls';
import { Client, type buildConnector, type Dispatcher } from 'undici';
import { formatEndpoint } from '../config/addresses';
import type { Endpoint, HealthConfig, HealthTls, StatusRange } from '../config/model';

/** Enough for any status page; the rest of a larger body is not read. */
const BODY_LIMIT_BYTES = 64 * 1024;
/** A cause goes into logs and tables, and the path in it may be long. */
const CAUSE_LIMIT_CHARS = 160;

/** What a check asks, and what it takes for a success. */
export type Question = Pick<HealthConfig, 'path' | 'timeout' | 'expect' | 'headers' | 'port' | 'tls'>;

/** The outcome of one check; `cause` is one short line in either case. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly cause: string;
}

/** Checks one address, as often as it is asked to. */
export class Probe {
  readonly #target: Endpoint;
  readonly #secure: { readonly context: SecureContext; readonly tls: HealthTls } | undefined;

  /** Throws where OpenSSL does not take the authorities. */
  constructor(
    target: Endpoint,
    private readonly question: Question,
  ) {
    const { port = target.port, tls } = question;
    this.#target = { ...target, port };
    // Once: a context takes a millisecond of the main thread, and more with many authorities.
    this.#secure = tls && { context: createSecureContext(tls.ca === undefined ? {} : { ca: tls.ca }), tls };
  }

  /**
   * One GET on a connection of its own, which shows that the host still accepts; redirects are not followed. The timeout
   * covers everything from connect to the end of the body. Aborting `signal` ends the check as a failure. Never rejects;
   * nothing is left open afterwards.
   */
  async run(signal: AbortSignal): Promise<ProbeResult> {
    const { path, timeout, expect } = this.question;
    const check = new AbortController();
    const stop = (): void => check.abort(new Error('check stopped'));
    const timer = setTimeout(() => check.abort(new Error(`timeout after ${timeout} ms`)), timeout);
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    try {
      const status = await this.#fetchStatus(check.signal);
      return { ok: isAmong(status, expect), cause: `GET ${path}: ${status}` };
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

  async #fetchStatus(signal: AbortSignal): Promise<number> {
    const authority = formatEndpoint(this.#target);
    const client = new Client(`${this.#secure === undefined ? 'http' : 'https'}://${authority}`, {
      connect: this.#connectorTo(signal),
      // The caller's timer covers the whole check.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    try {
      const response = await client.request({
        method: 'GET',
        path: this.question.path,
        headers: { host: authority, 'user-agent': 'baton-health', ...this.question.headers },
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
  #connectorTo(signal: AbortSignal): buildConnector.connector {
    return (_options, callback) => {
      const socket = this.#connect();
      addAbortSignal(signal, socket);
      let connected = false;
      socket.once('connect', () => (connected = true));
      const onError = (error: Error): void => {
        // Of a handshake that fails OpenSSL says why, and not that it was one.
        callback(connected ? new Error(`TLS: ${error.message}`, { cause: error }) : error, null);
      };
      socket.once('error', onError);
      socket.once(this.#secure === undefined ? 'connect' : 'secureConnect', () => {
        socket.off('error', onError);
        callback(null, socket);
      });
    };
  }

  #connect(): Socket {
    const { host, port } = this.#target;
    if (this.#secure === undefined) return connect({ host, port, noDelay: true });
    const { context: secureContext, tls } = this.#secure;
    return connectTls({
      host,
      port,
      secureContext,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: !tls.insecure,
      ...(tls.server_name !== undefined && { servername: tls.server_name }),
    }).setNoDelay();
  }
}

function isAmong(status: number, ranges: readonly StatusRange[]): boolean {
  return ranges.some(({ first, last }) => first <= status && status <= last);
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
  const step = /^(connect|timeout|check|TLS:) /.test(message) ? message : `GET ${path}: ${message}`;
  return step.replace(/\s+/g, ' ').slice(0, CAUSE_LIMIT_CHARS);
}
