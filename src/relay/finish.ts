import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { hasBody } from './request-body';

/** True while some of the request's body has not arrived yet. */
export function bodyPending(request: IncomingMessage): boolean {
  return hasBody(request) && !request.complete;
}

/**
 * Ends a response, also one that comes before its request is complete.
 *
 * A client that still sends gets its connection reset if the server closes with unread bytes, and the reset may
 * overtake the answer. So the rest is read and thrown away for at most `lingerTimeout` milliseconds; a connection that
 * is not kept alive is closed for writing first, which tells the client to stop (RFC 9112 section 9.6).
 */
export function finish(response: ServerResponse, lingerTimeout: number): void {
  const request = response.req;
  if (bodyPending(request)) linger(request, response, lingerTimeout);
  response.end();
  // Unread bytes of the body would hold up the next request on the connection.
  request.resume();
}

function linger(request: IncomingMessage, response: ServerResponse, lingerTimeout: number): void {
  const socket = request.socket;
  const closeSoon = socket.destroySoon.bind(socket);
  // Node calls this after the last response of a connection.
  socket.destroySoon = () => {
    if (request.complete) closeSoon();
    else socket.end();
  };
  const timer = setTimeout(() => socket.destroy(), lingerTimeout);
  const stop = (): void => clearTimeout(timer);
  socket.once('close', stop);
  request.once('end', () => {
    stop();
    socket.off('close', stop);
    socket.destroySoon = closeSoon;
    if (!response.shouldKeepAlive) closeSoon();
  });
}

/**
 * Breaks a connection off so that the peer cannot take it for an orderly end: a body without a length and without
 * chunks ends with the connection (RFC 9112 section 6.3), and a plain close would make it look complete.
 */
export function breakOff(connection: Duplex): void {
  if (connection instanceof Socket) connection.resetAndDestroy();
  else connection.destroy();
}
