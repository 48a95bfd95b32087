import type { Server } from 'node:http';

/**
 * Prepares an http.Server that never listens but is given its connections by `server.emit('connection', socket)`.
 * Returns the server.
 */
export function prepareFedServer(server: Server): Server {
  // A client may close its side once it has asked, as `nc -N` does, and still wants its answer (RFC 9112 section 9.6).
  // Undocumented, but it is the switch that Node itself reads (socketOnEnd in lib/_http_server.js).
  Object.assign(server, { httpAllowHalfOpen: true });
  // Node looks for connections that exceed headersTimeout or requestTimeout, and keeps the list that it needs for
  // closeIdleConnections(), only from this event on (setupConnectionsTracking, same file).
  server.emit('listening');
  return server;
}
