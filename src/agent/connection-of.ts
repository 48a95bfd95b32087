/**
 * `baton/connection`: the connection behind an adopted socket, for applications that get sockets from an HTTP server.
 *
 *   import { connectionOf } from 'baton/connection';
 *   server.on('upgrade', (request, socket) => {
 *     const connection = connectionOf(socket); // undefined for a socket that no front has handed over
 *     if (connection) connection.onMove = () => Buffer.from(JSON.stringify(session));
 *   });
 */
import type { Duplex } from 'node:stream';
import type { TcpConnection } from './tcp-connection';

export type { Adopt, ConnectionEnd, State, TcpApplication, TcpConnection } from './tcp-connection';

/** Undefined where an agent does not have the socket. */
export type FindConnection = (socket: Duplex) => TcpConnection | undefined;

/** An agent is bundled, and a module that it loads is not: the two have this file twice, and nothing else in common. */
const AGENTS = Symbol.for('baton.agents');

/** The connection of an adopted socket; undefined for any other. */
export function connectionOf(socket: Duplex): TcpConnection | undefined {
  for (const find of agents()) {
    const connection = find(socket);
    if (connection !== undefined) return connection;
  }
  return undefined;
}

/** An agent of this process tells how to find its connections. Returns what takes that back. */
export function announce(find: FindConnection): () => void {
  agents().add(find);
  return () => void agents().delete(find);
}

function agents(): Set<FindConnection> {
  const shared = globalThis as unknown as Record<symbol, Set<FindConnection> | undefined>;
  return (shared[AGENTS] ??= new Set());
}
