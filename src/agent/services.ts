import type { Server } from 'node:http';
import type { Arrival } from './adopter';
import type { Adopt, TcpApplication } from './tcp-connection';

/** Who serves the connections of an agent. */
export interface Services {
  /** Gets HTTP connections. */
  readonly server?: Server | undefined;
  /** Gets those of them that come with the state of an application. */
  readonly adopt?: Adopt | undefined;
  /** Gets connections without a head. */
  readonly tcp?: TcpApplication | undefined;
}

/** Who takes a connection past the server; undefined where the server has to. */
export function adoptFor({ adopt, tcp }: Services, { raw, state }: Arrival): Adopt | undefined {
  if (!raw) return state === undefined ? undefined : adopt;
  return tcp && ((connection, given) => tcp.adopt(connection, given));
}

/** Whether somebody takes such a connection. */
export function serves(services: Services, arrival: Arrival): boolean {
  if (adoptFor(services, arrival) !== undefined) return true;
  return services.server !== undefined && !arrival.raw && arrival.state === undefined;
}
