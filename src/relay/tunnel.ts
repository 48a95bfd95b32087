import { request as httpRequest, ServerResponse, type ClientRequest, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { HeadChanges } from '../peek/head';
import type { RelayContext } from './context';
import type { Answer, Forward } from './destination';
import { requestFields, type RawFields } from './fields';
import { breakOff, finish } from './finish';
import { answer, reply, statusFor } from './reply';
import { writeHead, writeTrailers } from './response-head';
import type { Task } from './running';
import { changedPath, type RequestTarget } from './target';

/**
 * An Upgrade on a connection of its own. Node's client is used for it because undici keeps the reason phrase of a
 * 101 to itself and pools connections that can never go back to a pool.
 */
export class Tunnel implements Task {
  /** For every answer but 101; the server gives none to an `upgrade` event. */
  private readonly response: ServerResponse;
  private outgoing: ClientRequest | undefined;
  private originSocket: Socket | undefined;
  private origin = '';
  private over = false;

  constructor(
    private readonly request: IncomingMessage,
    private readonly socket: Socket,
    private readonly context: RelayContext,
  ) {
    this.response = attachResponse(request, socket);
    context.running.add(this);
    socket.once('close', () => this.onClientClosed());
    // The server took its listener away; 'close' follows and does the work.
    socket.on('error', () => undefined);
    // For a client that does not read its answer; the server's own limit went with its listeners.
    socket.setTimeout(context.limits.headersTimeout + context.limits.bodyTimeout, () => this.abort());
  }

  /** Asks the origin; `head` is what the client has already sent after its request. */
  open(head: Buffer, { origin, changes }: Forward, target: RequestTarget): void {
    this.origin = origin;
    if (head.length > 0) this.socket.unshift(head);
    try {
      this.outgoing = this.ask(new URL(origin), target, changes);
    } catch (error) {
      this.fail(error as Error);
    }
  }

  reply(status: number): void {
    this.over = true;
    reply(this.response, status, this.context);
  }

  /** The answer in place of an origin's. */
  answer(given: Answer): void {
    this.over = true;
    answer(this.response, given, this.context);
  }

  abort(): void {
    this.over = true;
    this.outgoing?.destroy();
    this.originSocket?.destroy();
    breakOff(this.socket);
  }

  private ask(origin: URL, target: RequestTarget, changes?: HeadChanges): ClientRequest {
    const { headersTimeout } = this.context.limits;
    const outgoing = httpRequest({
      method: this.request.method,
      path: changedPath(target, changes),
      headers: upgradeFields(this.request, origin, target, changes),
      createConnection: () => {
        const socket = connectTo(origin);
        this.context.origins.follow(socket);
        return socket;
      },
    });
    const timer = setTimeout(() => outgoing.destroy(timeoutError()), headersTimeout);
    outgoing.once('close', () => clearTimeout(timer));
    outgoing.once('upgrade', (answer, originSocket: Socket, rest) => {
      clearTimeout(timer);
      this.join(answer, originSocket, rest);
    });
    outgoing.once('response', (answer) => {
      clearTimeout(timer);
      this.passOn(answer);
    });
    outgoing.on('error', (error) => this.fail(error));
    outgoing.end();
    return outgoing;
  }

  /** The origin agreed: its head exactly as it is, then octets in both directions. */
  private join(answer: IncomingMessage, originSocket: Socket, rest: Buffer): void {
    const { socket, context } = this;
    this.originSocket = originSocket;
    this.response.detachSocket(socket);
    // The tunnel has a limit of its own.
    socket.setTimeout(0);
    socket.write(rawHead(answer), 'latin1');
    if (rest.length > 0) originSocket.unshift(rest);
    originSocket.on('data', (chunk: Buffer) => {
      context.state.bytesToClients += chunk.length;
    });
    originSocket.on('error', () => undefined);
    // Every octet in either direction passes this socket, so one clock is enough for both.
    originSocket.setTimeout(context.limits.tunnelIdleTimeout, () => this.abort());
    originSocket.once('close', () => endTogether(originSocket, socket));
    // Each side may finish before the other does (a half-close); pipe() ends the one when the other has ended.
    socket.allowHalfOpen = true;
    socket.pipe(originSocket);
    originSocket.pipe(socket);
    context.hooks.onResponse?.(answer.statusCode ?? 101);
  }

  /** The origin declined: an ordinary response, and the connection ends with it. */
  private passOn(answer: IncomingMessage): void {
    const { response, context } = this;
    if (this.over) return;
    answer.on('error', (error) => this.fail(error));
    answer.setTimeout(context.limits.bodyTimeout, () => answer.destroy(timeoutError()));
    try {
      const { statusCode: status = 502, statusMessage: reason = '', rawHeaders: raw } = answer;
      writeHead(response, { status, reason, raw }, context);
    } catch (error) {
      this.fail(error as Error);
      return;
    }
    answer.on('data', (chunk: Buffer) => {
      context.state.bytesToClients += chunk.length;
    });
    answer.on('end', () => {
      this.over = true;
      writeTrailers(response, answer.rawTrailers);
      finish(response, context.limits.lingerTimeout);
    });
    answer.pipe(response, { end: false });
  }

  private fail(error: Error): void {
    if (this.over) return;
    this.over = true;
    this.context.hooks.onError?.(error, this.origin);
    this.outgoing?.destroy();
    if (this.response.headersSent) breakOff(this.socket);
    else reply(this.response, statusFor(error), this.context);
  }

  private onClientClosed(): void {
    this.over = true;
    this.context.running.remove(this);
    if (this.originSocket === undefined) this.outgoing?.destroy();
    else endTogether(this.socket, this.originSocket);
  }
}

/** A response that ends its connection, on a socket that has left its server. */
function attachResponse(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  // Both are the server's work for sockets of its own.
  socket.on('drain', () => response.emit('drain'));
  response.once('finish', () => {
    response.detachSocket(socket);
    socket.destroySoon();
  });
  return response;
}

/** When `closed` did not come to an orderly end in both directions, neither may `other`. */
function endTogether(closed: Duplex, other: Duplex): void {
  if (closed.readableEnded && closed.writableFinished) return;
  if (!other.destroyed) breakOff(other);
}

function connectTo(origin: URL): Socket {
  const host = origin.hostname.replace(/^\[|\]$/g, '');
  // Without allowHalfOpen an origin that has said its last word could not be spoken to any more.
  return connect({ host, port: Number(origin.port || 80), allowHalfOpen: true, noDelay: true });
}

/** The two fields that ask for the upgrade are put back: they are about both connections now. */
function upgradeFields(
  request: IncomingMessage,
  origin: URL,
  target: RequestTarget,
  changes?: HeadChanges,
): string[] {
  const host = target.host ?? request.headers.host ?? origin.host;
  const fields = requestFields(request, host, changes);
  return [...fields, 'Connection', 'Upgrade', 'Upgrade', request.headers.upgrade ?? ''];
}

function rawHead(answer: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${answer.statusCode ?? 101} ${answer.statusMessage ?? ''}`];
  const raw: RawFields = answer.rawHeaders;
  for (let i = 0; i + 1 < raw.length; i += 2) lines.push(`${raw[i] ?? ''}: ${raw[i + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

function timeoutError(): Error {
  return Object.assign(new Error('the origin was silent for too long'), { code: 'ETIMEDOUT' });
}
