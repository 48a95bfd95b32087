import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { DestinationOf } from './destination';
import { LONGEST_HEAD_BYTES, prepareFedServer } from './fed-server';
import { lastWords } from './last-words';
import type { Relay } from './relay';
import { Turns } from './turns';
import { isTunnelRequest, withoutUpgrade } from './without-upgrade';

/** Milliseconds. */
export interface RelayServerOptions {
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAliveTimeout: number;
  readonly idleTimeout: number;
  readonly checkInterval: number;
}

const DEFAULTS: RelayServerOptions = {
  // A request head is a packet or two; who takes longer holds the connection on purpose.
  headersTimeout: 10_000,
  // Uploads may take their time: a gigabyte in an hour is 2.3 Mbit/s. idleTimeout ends those that stand still.
  requestTimeout: 3_600_000,
  // Browsers come back within a minute or two. An idle connection costs a descriptor and a few kilobytes.
  keepAliveTimeout: 75_000,
  // Longer than an origin may take for its head or between two pieces of a body, so that only a client that neither
  // sends nor reads is meant.
  idleTimeout: 310_000,
  // How late the first two may be noticed.
  checkInterval: 5_000,
};

/** Node's own answers to what its parser does not accept; everything else is a 400. */
const STATUS_BY_CODE = new Map([
  ['HPE_HEADER_OVERFLOW', 431],
  ['HPE_CHUNK_EXTENSIONS_OVERFLOW', 413],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408],
]);

/**
 * A server that never listens: every accepted or restored connection is put in with
 * `server.emit('connection', socket)`. `destinationOf` is asked for every request, later ones of a connection included.
 *
 * `server.close()` stops the timers and closes idle connections (its callback gets ERR_SERVER_NOT_RUNNING, because
 * there is no listening socket); `server.closeAllConnections()` closes the others.
 */
export function createRelayServer(
  relay: Relay,
  destinationOf: DestinationOf,
  options: Partial<RelayServerOptions> = {},
): Server {
  const limits = { ...DEFAULTS, ...options };
  const turns = new Turns();
  const server = createServer({
    maxHeaderSize: LONGEST_HEAD_BYTES,
    headersTimeout: limits.headersTimeout,
    requestTimeout: limits.requestTimeout,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: limits.checkInterval,
  });
  server.timeout = limits.idleTimeout;
  // By default Node hides fields after the two-thousandth from us but not from its parser, and the two would disagree
  // about where a request ends. The size of a head is limited in any case.
  server.maxHeadersCount = 0;

  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    turns.take(response, () => {
      relay.request(request, response, destinationOf(request));
    });
  };
  server.on('request', serve);
  server.on('checkContinue', serve);
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A response is still being written to this connection, and a second one would end up in the middle of it.
    if (turns.isBusy(socket)) socket.destroy();
    else if (isTunnelRequest(request)) relay.upgrade(request, socket, head, destinationOf(request));
    else serveAgain(server, socket, Buffer.concat([withoutUpgrade(request), head]));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (!socket.writable || error.code === 'ECONNRESET' || turns.isBusy(socket)) socket.destroy();
    else socket.end(lastWords(STATUS_BY_CODE.get(error.code ?? '') ?? 400), () => socket.destroy());
  });
  return prepareFedServer(server);
}

/** Node has let go of a connection with an Upgrade; this gives it back, to be served as an ordinary one. */
function serveAgain(server: Server, socket: Duplex, bytes: Buffer): void {
  socket.unshift(bytes);
  server.emit('connection', socket);
}
