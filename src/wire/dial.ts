import { connect, type Socket } from 'node:net';
import { connect as connectTls, type SecureContext } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { ControlSecurity, Endpoint } from '../config/model';
import { agentObjection } from './identity';
import { createContext } from './tls-context';

/** Where an agent is, and how to know it there. */
export interface AgentAddress {
  readonly host: string;
  readonly port: number;
  /** Absent where the control channel is not secured. */
  readonly tls?: {
    /** Name of the backend, which the agent's certificate has to carry. */
    readonly name: string;
    readonly context: SecureContext;
  };
}

/** Makes the addresses of agents, all secured by the same credentials. */
export class AgentAddresses {
  readonly #context: SecureContext | undefined;

  constructor({ tls }: ControlSecurity) {
    this.#context = tls && createContext(tls.pem);
  }

  of({ name, agent: { host, port } }: { readonly name: string; readonly agent: Endpoint }): AgentAddress {
    return { host, port, ...(this.#context && { tls: { name, context: this.#context } }) };
  }
}

/**
 * Connects to an agent. `opened` is called when frames may be sent; with TLS that is when the agent has proved who it is.
 * Before that the stream yields no byte: it ends with an error that says why.
 */
export function dial({ host, port, tls }: AgentAddress, opened: () => void): Socket {
  if (tls === undefined) return connect({ host, port, noDelay: true }).once('connect', opened);
  const { name, context } = tls;
  const socket = connectTls({
    host,
    port,
    secureContext: context,
    rejectUnauthorized: true,
    // In the place of comparing the certificate with `host`: an agent's identity is its name, wherever it is.
    checkServerIdentity: (_host, { raw }) => {
      const objection = agentObjection(new X509Certificate(raw), name);
      return objection === undefined ? undefined : new Error(objection);
    },
  });
  return socket.setNoDelay(true).once('secureConnect', opened);
}
