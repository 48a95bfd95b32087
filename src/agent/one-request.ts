/**
 * Connections that carry one request (the snapshot's flag ONE_REQUEST): later ones would have to be routed, and no front
 * sees them. Nothing that the client sends behind the first message reaches a server.
 *
 *   octets of the message -> server         the others -> nowhere
 *                            server answers, and closes its side
 *                            whatever the client still sends is thrown away until it closes its own
 *
 * The `Connection: close` that the front has put into the head does not do that alone. Node's parser takes octets behind
 * such a message for an error, and the server then drops the connection with the first answer still in it; with
 * `insecureHTTPParser` it serves them.
 */
import type { Server } from 'node:http';
import { Socket } from 'node:net';
import { takeReading } from '../kernel/node-parser';
import { asksForTunnel } from '../peek/closing-head';
import { longestEditedHead, MOST_ADDED_BYTES, MOST_ADDED_FIELDS } from '../peek/edited-head';
import { Http1Peek, MAX_FIELDS } from '../peek/http1';
import { MessageEnd } from '../peek/message-end';
import { RepairError } from '../repair/errors';
import { FLAGS, HEADER_BYTES, ONE_REQUEST, RECEIVE_LENGTH } from '../repair/layout';

/** The longest head that a front may be configured for (limits.head_bytes), with the lines that it adds. */
const reader = new Http1Peek(longestEditedHead(65_536, MOST_ADDED_BYTES), MAX_FIELDS + MOST_ADDED_FIELDS + 1);

/**
 * How long a client that has its answer may leave its side open: closing at once would send a RST for what it still sends,
 * and that can overtake the answer (RFC 9112 section 9.6).
 */
export interface LingerTimes {
  /** Without a byte. */
  readonly silentMs: number;
  /** While it goes on sending. */
  readonly mostMs: number;
}
/** What nginx grants (lingering_timeout, lingering_time). */
const LINGER: LingerTimes = { silentMs: 5_000, mostMs: 30_000 };

/** What is known of the one message from its head. */
export interface OnlyMessage {
  readonly end: MessageEnd;
  /** A server may answer it by leaving HTTP: what follows is not HTTP either. */
  readonly tunnel: boolean;
}

/** The message of a snapshot with ONE_REQUEST, undefined without; throws a RepairError if it does not begin with a head. */
export function onlyMessage(bytes: Buffer, offset: number): OnlyMessage | undefined {
  if ((bytes.readUInt8(offset + FLAGS) & ONE_REQUEST) === 0) return undefined;
  const start = offset + HEADER_BYTES;
  const received = bytes.subarray(start, start + bytes.readUInt32BE(offset + RECEIVE_LENGTH));
  const outcome = reader.read(received, received.length);
  if (outcome !== 'head') {
    const reason = outcome === 'more' ? 'incomplete' : reader.reason;
    throw new RepairError('malformed_snapshot', `snapshot: one request without a head: ${reason}`);
  }
  return { end: new MessageEnd(reader), tunnel: asksForTunnel(reader) };
}

/** An adopted socket that a server reads one message from. */
export class OneRequest {
  #tunnel = false;
  #closing = false;
  #lingering = false;
  #clientDone = false;
  #timer: NodeJS.Timeout | undefined;
  #lingersUntil = 0;

  /** Before the server gets the socket: all that is read goes through here first. */
  constructor(
    private readonly socket: Socket,
    private readonly message: OnlyMessage,
    private readonly server: Server,
    private readonly times = LINGER,
  ) {
    socket.push = this.#push;
    // The server calls this when it has written its answer.
    socket.destroySoon = this.close;
    socket.once('close', () => clearTimeout(this.#timer));
  }

  /** Call whenever the server has been given the socket. */
  attached(): void {
    this.#tunnel = false;
    takeReading(this.socket);
  }

  /** Closes the server's side behind what it has written, and the socket when the client has done so too. */
  readonly close = (): void => {
    const { socket } = this;
    if (this.#tunnel) {
      Socket.prototype.destroySoon.call(socket);
      return;
    }
    if (this.#closing || socket.destroyed) return;
    this.#closing = true;
    if (socket.writableFinished) this.#written();
    else socket.end(this.#written);
  };

  /** A message that is still on its way goes on: the application may answer early and read it all the same. */
  readonly #written = (): void => {
    if (this.socket.destroyed) return;
    if (this.message.end.over) this.#linger();
    else this.#destroyAfter(this.times.mostMs);
  };

  readonly #push = (octets: Buffer | null): boolean => {
    if (this.socket.destroyed) return true;
    if (octets === null) return this.#clientClosed();
    let length = 0;
    let more = true;
    if (!this.#tunnel) {
      length = this.message.end.take(octets);
      if (length > 0) more = this.#passMessage(octets.subarray(0, length));
    }
    if (length === octets.length) return more;
    if (this.#tunnel) return this.#pass(octets.subarray(length));
    this.#thrownAway();
    return more;
  };

  #passMessage(octets: Buffer): boolean {
    const { end, tunnel } = this.message;
    // The server asks the same when it has read the last octet; a listener may be there for that one time.
    if (end.over && tunnel) this.#tunnel = this.server.listenerCount('upgrade') > 0;
    const more = this.#pass(octets);
    if (!this.#closing || !this.socket.writableFinished) return more;
    if (end.over) this.#linger();
    else this.#timer?.refresh();
    return more;
  }

  #pass(octets: Buffer | null): boolean {
    return Socket.prototype.push.call(this.socket, octets);
  }

  #clientClosed(): boolean {
    this.#clientDone = true;
    if (!this.#lingering) return this.#pass(null);
    this.socket.destroy();
    return false;
  }

  /** Both sides have said what they had to say, and the client has not closed yet. */
  #linger(): void {
    if (this.#clientDone) {
      this.socket.destroy();
      return;
    }
    this.#lingering = true;
    this.#lingersUntil = performance.now() + this.times.mostMs;
    this.#destroyAfter(this.times.silentMs);
    // The server may have paused it over a body that nobody read.
    this.socket.resume();
  }

  #thrownAway(): void {
    if (!this.#lingering) return;
    if (performance.now() < this.#lingersUntil) this.#timer?.refresh();
    else this.socket.destroy();
  }

  #destroyAfter(silentMs: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.socket.destroy(), silentMs);
  }
}
