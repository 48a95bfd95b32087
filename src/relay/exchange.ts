import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Dispatcher } from 'undici';
import type { RelayContext } from './context';
import type { Forward } from './destination';
import { decodeFields, requestFields } from './fields';
import { breakOff, finish } from './finish';
import { ORIGIN_RESET } from './origins';
import { reply, statusFor } from './reply';
import { hasBody, RequestBody } from './request-body';
import { writeHead, writeInterim, writeTrailers } from './response-head';
import type { Task } from './running';
import { changedPath, type RequestTarget } from './target';

/** RFC 9110 section 9.2.2: repeating these has the effect of sending them once. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
/** What a connection that the origin has just closed looks like. */
const CLOSED_BY_ORIGIN = new Set(['UND_ERR_SOCKET', ORIGIN_RESET, 'EPIPE']);

/** How a connection to an origin fails before there is one. */
const UNREACHED = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
]);
/** Origins tried for one request: a client waits for at most so many connectTimeouts. */
const MOST_ORIGINS = 3;

/**
 * One request on its way to the origin and its response on the way back.
 *
 *   queued -> started -> answering -> done
 *      |         |           |
 *      |         |           +-- origin breaks off: the client's connection is broken off too
 *      |         +-- origin fails: retry once if nothing was seen and it is harmless, else 502, 503 or 504
 *      +-- origin cannot be reached: another one
 *
 * The client may leave in every state; then the origin's connection is dropped.
 */
export class Exchange implements Dispatcher.DispatchHandler, Task {
  private controller: Dispatcher.DispatchController | undefined;
  private body: RequestBody | null = null;
  private startTimer: NodeJS.Timeout | undefined;
  /** The client has its whole answer, or has gone. */
  private over = false;
  private sawResponse = false;
  private retried = false;
  private flushed = false;
  private origin: string;
  private readonly tried: string[] = [];

  constructor(
    private readonly request: IncomingMessage,
    private readonly response: ServerResponse,
    private readonly forward: Forward,
    private readonly target: RequestTarget,
    private readonly context: RelayContext,
  ) {
    this.origin = forward.origin;
  }

  start(): void {
    const { request, context } = this;
    if (hasBody(request)) this.body = new RequestBody(request);
    context.running.add(this);
    this.response.once('close', this.onClosed);
    this.dispatch();
  }

  abort(): void {
    if (this.over) breakOff(this.request.socket);
    else this.end(503, new Error('the relay stops'));
  }

  /** undici has a connection to the origin and is about to write the request to it. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller;
    clearTimeout(this.startTimer);
    if (this.over) controller.abort(new Error('the client is gone'));
    // RFC 9110 section 10.1.1: the relay invites the body itself, as soon as there is an origin to take it. The
    // origin is not asked first, because undici sends no Expect; an early refusal is passed on all the same.
    else if (expectsContinue(this.request)) this.response.writeContinue();
  }

  /** The first octet of a response head, complete or not. */
  onResponseStarted(): void {
    this.sawResponse = true;
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    reason = '',
  ): void {
    const raw = decodeFields(controller.rawHeaders as Buffer[]);
    if (status < 200) {
      writeInterim(this.response, status, raw);
      return;
    }
    writeHead(this.response, { status, reason, raw }, this.context);
    // Most bodies come in the same read as their head and leave in the same packet; a head alone must not wait.
    process.nextTick(this.flushHead);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.flushed = true;
    this.context.state.bytesToClients += chunk.length;
    if (this.response.write(chunk)) return;
    controller.pause();
    this.response.once('drain', () => controller.resume());
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.flushed = true;
    writeTrailers(this.response, decodeFields((controller.rawTrailers ?? []) as Buffer[]));
    this.over = true;
    // What is left of the body must not pile up in there: finish() throws it away.
    this.body?.destroy();
    finish(this.response, this.context.limits.lingerTimeout);
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.over) return;
    if (this.mayRetry(error)) {
      this.retried = true;
      // An origin that restarts closes all its idle connections at once: by then undici has seen the others close.
      setImmediate(this.dispatch);
      return;
    }
    if (this.goElsewhere(error)) return;
    const status = statusFor(error);
    // 400 is about the client's request, which is nothing to hold against the origin.
    if (status === 400) this.end(status, error);
    else this.fail(status, error);
  }

  private readonly dispatch = (): void => {
    const { request, target, context } = this;
    const { changes } = this.forward;
    if (this.over) return;
    clearTimeout(this.startTimer);
    // undici keeps no time while a request waits for a connection of its own.
    this.startTimer = setTimeout(() => {
      this.fail(503, new Error('no connection to the origin became free in time'));
    }, context.limits.startTimeout);
    try {
      context.origins.pool(this.origin).dispatch(
        {
          path: changedPath(target, changes),
          method: request.method as Dispatcher.HttpMethod,
          headers: requestFields(request, target.host, changes),
          body: this.body,
        },
        this,
      );
    } catch (error) {
      this.fail(502, error as Error);
    }
  };

  /**
   * An idle connection may be closed by the origin in the same moment in which it is used again. That costs nothing
   * to repeat where the method is idempotent and no body has been consumed (RFC 9112 section 9.3.1).
   */
  private mayRetry(error: Error): boolean {
    if (this.retried || this.sawResponse || this.body !== null) return false;
    if (!IDEMPOTENT.has(this.request.method ?? '')) return false;
    return CLOSED_BY_ORIGIN.has((error as NodeJS.ErrnoException).code ?? '');
  }

  /** Asks another origin, if this one has seen nothing of the request and there is one. */
  private goElsewhere(error: Error): boolean {
    if (this.controller !== undefined || !UNREACHED.has((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    this.tried.push(this.origin);
    if (this.tried.length >= MOST_ORIGINS) return false;
    const other = this.forward.another?.(this.tried);
    if (other === undefined || this.tried.includes(other)) return false;
    this.context.hooks.onError?.(error, this.origin);
    this.origin = other;
    if (this.body !== null) {
      // undici has destroyed the stream, of which it has read nothing.
      this.body.destroy();
      this.body = new RequestBody(this.request);
    }
    setImmediate(this.dispatch);
    return true;
  }

  private fail(status: number, error: Error): void {
    this.context.hooks.onError?.(error, this.origin);
    this.end(status, error);
  }

  /** Ends an exchange that failed, with `status` if the client has seen nothing yet. */
  private end(status: number, error: Error): void {
    this.over = true;
    clearTimeout(this.startTimer);
    this.release(error);
    if (this.response.headersSent) breakOff(this.request.socket);
    else reply(this.response, status, this.context);
  }

  /** Lets go of the origin's connection, where there is one. */
  private release(reason: Error): void {
    this.body?.destroy(reason);
    this.controller?.abort(reason);
  }

  private readonly flushHead = (): void => {
    if (!this.flushed && !this.response.destroyed) this.response.flushHeaders();
  };

  /** The response has been sent, or the client's connection is closed. */
  private readonly onClosed = (): void => {
    clearTimeout(this.startTimer);
    this.context.running.remove(this);
    if (this.over) return;
    this.over = true;
    this.release(new Error('the client is gone'));
  };
}

/** Node's servers leave the interim response to a `checkContinue` listener where there is one, as here. */
function expectsContinue(request: IncomingMessage): boolean {
  return request.httpVersionMinor > 0 && /(?:^|\W)100-continue(?:$|\W)/i.test(request.headers.expect ?? '');
}
