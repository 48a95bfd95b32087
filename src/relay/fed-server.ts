import type { Server } from 'node:http';

/**
 * What a server of ours has to take: the longest head that a front may have (`limits.head_bytes`), and what its routes may add
 * (peek/edited-head.ts), of which Node allows a quarter.
 */
export const LONGEST_HEAD_BYTES = 65_536 + 8192;

/**
 * Prepares an http.Server of ours that never listens but is given its connections by
 * `server.emit('connection', socket)`. Returns the server.
 */
export function prepareFedServer(server: Server): Server {
  // A client may close its side once it has asked, as `nc -N` does, and still wants its answer (RFC 9112 section 9.6).
  // Undocumented, but it is the switch that Node itself reads (socketOnEnd in lib/_http_server.js).
  Object.assign(server, { httpAllowHalfOpen: true });
  return trackConnections(server);
}

/**
 * Makes a server that never listens watch its connections. Node looks for those that exceed headersTimeout or
 * requestTimeout, and keeps the list that closeIdleConnections() needs, only from the 'listening' event on
 * (setupConnectionsTracking in lib/_http_server.js). Returns the server.
 */
export function trackConnections(server: Server): Server {
  server.emit('listening');
  return server;
}
