/**
 * What stands in front of an agent's control port: only who may connect becomes a channel.
 *
 *   connection -> handshake -> certificate: authority, dates, role, `allow` -> admitted
 *        \___________\____________\______ refused: the reason goes to the log, and to a front in its own language
 *
 * No byte of a frame is looked at before a peer is admitted.
 */
import { X509Certificate } from 'node:crypto';
import { createServer, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type DetailedPeerCertificate,
  type Server as TlsServer,
  type TLSSocket,
} from 'node:tls';
import type { ControlTls } from '../config/model';
import { encodeFrame, BYE } from './frames';
import { certificatesIn, frontObjection, isTrusted } from './identity';
import { contextOptions } from './tls-context';
import { explain, explainCode } from './tls-errors';

/** A handshake takes milliseconds; a peer that is slow on purpose does not get more by saying a byte now and then. */
export const HANDSHAKE_MS = 3000;
/**
 * Handshakes at once, of some 50 KB each. One more ends the oldest: honest ones are done long before they are that old,
 * so a crowd of silent peers keeps nobody out.
 */
export const MOST_HANDSHAKES = 256;
/** Longer chains than this are no chains of a cluster. */
const LONGEST_CHAIN = 8;

/** Who is at the other end of an admitted stream. */
export interface Peer {
  /** Address and port, for logs. */
  readonly address: string;
  /** Its certificate and those that lead to its authority; empty where the channel is not secured. */
  readonly chain: readonly X509Certificate[];
}

export interface GateEvents {
  admitted(socket: Socket, peer: Peer): void;
  /** `kind` tells those who show a certificate from those who do not get that far. */
  refused(address: string, cause: string, kind: 'handshake' | 'certificate'): void;
}

export interface Gate {
  /** Not listening yet. */
  readonly server: Server;
  /** Why a peer may not have a channel, or undefined; `node` is its name from its hello. */
  objection(peer: Peer, node?: string): string | undefined;
  /**
   * Takes over other certificates and another `allow`, for new peers and for `objection`. Throws an Error before anything
   * has changed.
   */
  renew(tls: ControlTls): void;
}

export function openGate(tls: ControlTls | undefined, events: GateEvents): Gate {
  return tls === undefined ? new OpenGate(events) : new TlsGate(tls, events);
}

/** `insecure: true`: whoever comes is let in. */
class OpenGate implements Gate {
  readonly server: Server;

  constructor(events: GateEvents) {
    this.server = createServer({ noDelay: true }, (socket) =>
      events.admitted(socket, { address: addressOf(socket), chain: [] }),
    );
  }

  objection(): undefined {
    return undefined;
  }

  renew(): never {
    throw new Error('control.tls cannot be set while running: that needs a restart');
  }
}

/** A peer between its connection and being admitted, or gone. */
interface Arrival {
  readonly address: string;
  readonly socket: Socket;
  readonly timer: NodeJS.Timeout;
  refused: boolean;
}

class TlsGate implements Gate {
  readonly server: TlsServer;
  /** By address and port, in the order of arrival. */
  readonly #arrivals = new Map<string, Arrival>();
  #authorities: readonly X509Certificate[];
  #allow: readonly string[] | undefined;

  constructor(
    { pem, allow }: ControlTls,
    private readonly events: GateEvents,
  ) {
    this.#authorities = certificatesIn(pem.ca);
    this.#allow = allow;
    this.server = createTlsServer(
      // Node would end the connection of a peer that it cannot verify without telling why, or whom it was: #meet does
      // that, and it alone admits.
      { ...contextOptions(pem), noDelay: true, requestCert: true, rejectUnauthorized: false },
      (socket) => this.#meet(socket),
    );
    this.server.on('connection', (socket: Socket) => this.#arrive(socket));
    this.server.on('tlsClientError', (error, socket) => {
      this.#refuse(this.#arrivals.get(addressOf(socket)), explain(error));
      socket.destroy();
    });
  }

  objection({ chain }: Peer, node?: string): string | undefined {
    const [certificate] = chain;
    if (certificate === undefined) return 'the peer has shown no certificate';
    if (!isTrusted(chain, this.#authorities, Date.now()))
      return 'the certificate has expired, or is of another authority than those in control.tls.ca';
    return frontObjection(certificate, this.#allow, node);
  }

  renew({ pem, allow }: ControlTls): void {
    const authorities = certificatesIn(pem.ca);
    this.server.setSecureContext(contextOptions(pem));
    this.#authorities = authorities;
    this.#allow = allow;
  }

  #arrive(socket: Socket): void {
    const address = addressOf(socket);
    // Not the handshake timeout of Node, which every byte puts off.
    const timer = setTimeout(
      () => this.#end(arrival, `no TLS handshake within ${HANDSHAKE_MS} ms`),
      HANDSHAKE_MS,
    );
    const arrival: Arrival = { address, socket, timer, refused: false };
    this.#arrivals.set(address, arrival);
    socket.once('close', () => {
      clearTimeout(timer);
      // Admitted ones are gone from here already.
      if (this.#arrivals.get(address) === arrival)
        this.#end(arrival, 'gone before the end of its TLS handshake');
    });
    const [oldest] = this.#arrivals.values();
    if (this.#arrivals.size > MOST_HANDSHAKES && oldest !== undefined)
      this.#end(oldest, `more than ${MOST_HANDSHAKES} TLS handshakes at once`);
  }

  #end(arrival: Arrival, cause: string): void {
    this.#refuse(arrival, cause);
    this.#arrivals.delete(arrival.address);
    arrival.socket.destroy();
  }

  /** The first cause is the one that counts. */
  #refuse(
    arrival: Arrival | undefined,
    cause: string,
    kind: 'handshake' | 'certificate' = 'handshake',
  ): void {
    if (arrival === undefined || arrival.refused) return;
    arrival.refused = true;
    this.events.refused(arrival.address, cause, kind);
  }

  /** The end of a handshake: from here on it is known who the peer is. */
  #meet(socket: TLSSocket): void {
    const address = addressOf(socket);
    const arrival = this.#arrivals.get(address);
    // Ended while its handshake did.
    if (arrival === undefined) {
      socket.destroy();
      return;
    }
    const peer = { address, chain: chainOf(socket) };
    const objection = verificationError(socket, peer.chain.length > 0) ?? this.objection(peer);
    if (objection !== undefined) {
      this.#refuse(arrival, objection, 'certificate');
      sayGoodbye(socket, objection);
      return;
    }
    clearTimeout(arrival.timer);
    this.#arrivals.delete(address);
    this.events.admitted(socket, peer);
  }
}

/** What OpenSSL found wrong with a peer's certificate. */
function verificationError(socket: TLSSocket, shown: boolean): string | undefined {
  if (!shown) return 'the peer has shown no certificate';
  // Its certificate would be one from an earlier handshake, checked by what held then.
  if (socket.isSessionReused()) return 'the peer resumes a session';
  if (socket.authorized) return undefined;
  const code = String(socket.authorizationError);
  return explainCode(code) ?? `the certificate cannot be verified (${code})`;
}

/** The peer's certificate first; empty where it has shown none. */
function chainOf(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // Without a certificate the object is empty. A root is its own issuer.
  while (next?.raw !== undefined && chain.length < LONGEST_CHAIN) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

/** Tells a peer why it is refused, in a frame that a front logs; what it says is thrown away. */
function sayGoodbye(socket: TLSSocket, reason: string): void {
  socket.on('error', () => socket.destroy());
  socket.resume();
  // The peer closes when it has read that; the timer of its arrival ends one that does not.
  socket.end(encodeFrame(BYE, reason));
}

function addressOf(socket: Socket): string {
  return `${socket.remoteAddress ?? '?'}:${socket.remotePort ?? 0}`;
}
