import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AccessLogConfig } from '../config/model';
import { formatClient, formatVip } from '../kernel/flow';
import { bounded, Clock, formatAccess, MOST_OCTETS, type AccessLine } from './access-line';
import { AccessOutput } from './access-output';
import { FirstStatus } from './first-status';
import type { LiveConnection } from './live-connections';

/** Where lines go; AccessOutput, but in tests. */
export type AccessSink = Pick<AccessOutput, 'write' | 'dropped' | 'close'>;

/** An adopted connection, as far as its lines are concerned. */
interface Visit {
  readonly connection: LiveConnection;
  /** The two ends of the connection, written out for its first line. */
  ends: Pick<AccessLine, 'client' | 'vip'> | undefined;
  requests: number;
  /** Octets that were written to it for answers before the present one: they go out in the order of their requests. */
  accounted: number;
  /** The answer that was asked for last. */
  latest: ServerResponse | undefined;
  /** Takes back that the connection has left HTTP. */
  comeBack: (() => void) | undefined;
}

/** What is known of a request when it comes. */
interface Asked {
  readonly began: number;
  readonly first: boolean;
  readonly method: string;
  readonly url: string;
  readonly request: IncomingMessage;
}

/** What is known of its answer when that is over. */
type Answered = Pick<AccessLine, 'status' | 'bytes' | 'aborted'>;

/** One line about every request of an adopted connection, or about some of them. */
export class AccessLog {
  readonly #visits = new WeakMap<Socket, Visit>();
  /** Lines that outputs before the present one have dropped. */
  #droppedBefore = 0;
  /** Outputs that others have taken the place of, until they are closed. */
  readonly #leaving = new Map<AccessSink, Promise<void>>();
  readonly #clock = new Clock();
  #closed = false;

  constructor(
    private readonly node: string,
    private config: AccessLogConfig,
    private sink: AccessSink = new AccessOutput(config, node),
    /** From 0 to below 1, as Math.random. */
    private readonly random: () => number = Math.random,
  ) {}

  /** Lines that did not get out. */
  get dropped(): number {
    const sinks = [this.sink, ...this.#leaving.keys()];
    return sinks.reduce((sum, { dropped }) => sum + dropped, this.#droppedBefore);
  }

  /**
   * Opens the output of another configuration, which may be the same file by name; `use` puts it in place of the present one,
   * `close` forgets it. Throws an Error that names the file.
   */
  prepare(config: AccessLogConfig): { use(): void; close(): void } {
    const next = new AccessOutput(config, this.node);
    return {
      use: () => {
        this.config = config;
        this.#leave(this.sink);
        this.sink = next;
      },
      close: () => void next.close(),
    };
  }

  /** Opens the file anew. Throws an Error that names it, and the old one goes on. */
  reopen(): void {
    this.prepare(this.config).use();
  }

  /** Before its server gets an adopted connection. */
  opened(connection: LiveConnection): void {
    this.#visits.set(connection.socket, {
      connection,
      ends: undefined,
      requests: connection.asked === true ? 1 : 0,
      accounted: 0,
      latest: undefined,
      comeBack: undefined,
    });
  }

  /** For a request, before its application gets it. */
  requested(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const visit = this.#visits.get(socket);
    // An application may pass on what it was asked by another event.
    if (visit === undefined || visit.latest === response) return;
    visit.comeBack?.();
    visit.latest = response;
    const asked = askedOf(visit, request);
    let bytes: number | undefined;
    let finished = false;
    // All of it has been given to the connection, and nothing of the next answer.
    response.on('prefinish', () => (bytes = bytesOf(visit, socket)));
    // A connection that is destroyed calls back for what it has not written, too.
    response.on('finish', () => (finished = !socket.destroyed));
    response.on('close', () => {
      bytes ??= bytesOf(visit, socket);
      const status = response.headersSent ? response.statusCode : 0;
      this.#answered(visit, asked, { status, bytes, aborted: !finished });
    });
  }

  /** For a request by which a connection may leave HTTP, before who takes it over gets it: its line comes at the very end. */
  upgraded(request: IncomingMessage): void {
    const { socket } = request;
    const visit = this.#visits.get(socket);
    if (visit === undefined) return;
    const asked = askedOf(visit, request);
    const answer = new FirstStatus(socket);
    const closed = (failed: boolean): void => {
      const bytes = bytesOf(visit, socket);
      this.#answered(visit, asked, { status: answer.status, bytes, aborted: failed });
    };
    socket.once('close', closed);
    visit.comeBack = () => {
      visit.comeBack = undefined;
      visit.requests -= 1;
      answer.release();
      socket.off('close', closed);
    };
  }

  /** Writes what is left, as far as that goes without waiting long. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([this.sink.close(), ...this.#leaving.values()]);
  }

  #answered(visit: Visit, asked: Asked, answered: Answered): void {
    if (this.#closed) return;
    const { sample, errors } = this.config;
    if (this.random() >= sample && !(errors && answered.status >= 500)) return;
    this.sink.write(formatAccess(this.#line(visit, asked, answered)));
  }

  #line(visit: Visit, { first, ...asked }: Asked, { status, bytes, aborted }: Answered): AccessLine {
    const { flow, front, details } = visit.connection;
    const { client, vip } = (visit.ends ??= { client: formatClient(flow), vip: formatVip(flow) });
    const queryAt = asked.url.indexOf('?');
    const { host, 'user-agent': userAgent, referer } = asked.request.headers;
    // Written out: with the optional ones spread into it, the object took three times as long as its line.
    return {
      time: this.#clock.now(),
      client,
      vip,
      method: asked.method,
      path: bounded(queryAt < 0 ? asked.url : asked.url.slice(0, queryAt), MOST_OCTETS.path),
      query: queryAt < 0 ? undefined : bounded(asked.url.slice(queryAt + 1), MOST_OCTETS.query),
      host: bounded(host, MOST_OCTETS.host),
      status,
      bytes,
      duration_ms: Math.round((performance.now() - asked.began) * 1000) / 1000,
      route: details?.route,
      pool: details?.pool,
      backend: this.node,
      front,
      handoff_us: first ? details?.micros : undefined,
      first,
      aborted,
      user_agent: bounded(userAgent, MOST_OCTETS.user_agent),
      referer: bounded(referer, MOST_OCTETS.referer),
    };
  }

  #leave(sink: AccessSink): void {
    const closed = sink.close().then(() => {
      this.#leaving.delete(sink);
      this.#droppedBefore += sink.dropped;
    });
    this.#leaving.set(sink, closed);
  }
}

/** An application may change its target later. Its fields are left for a line to look at: reading them costs, the first time. */
function askedOf(visit: Visit, request: IncomingMessage): Asked {
  const { method = '', url = '' } = request;
  visit.requests += 1;
  return { began: performance.now(), first: visit.requests === 1, method, url, request };
}

/** Octets of the answer that has just ended. */
function bytesOf(visit: Visit, { bytesWritten }: Socket): number {
  const bytes = bytesWritten - visit.accounted;
  visit.accounted = bytesWritten;
  return bytes;
}
