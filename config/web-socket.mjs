import { createHash } from 'node:crypto';

/** Of RFC 6455 section 1.3. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10];
const FIN = 0x80;
const MASKED = 0x80;
/** Lengths from here on have a field of 16 bits, or of 64. */
const [LENGTH_16, LENGTH_64] = [126, 127];
const LONGEST_TEXT = 4096;
// Codes of RFC 6455 section 7.4.1.
const [PROTOCOL_ERROR, UNSUPPORTED, TOO_BIG] = [1002, 1003, 1009];

/** The answer to a request for a WebSocket; undefined where it is none. */
export function handshake({ headers }) {
  const key = headers['sec-websocket-key'];
  if (key === undefined || headers.upgrade?.toLowerCase() !== 'websocket') return undefined;
  const accept = createHash('sha1').update(`${key}${GUID}`).digest('base64');
  return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
}

/**
 * The server's end of a WebSocket for short texts, on a socket whose handshake is done. It keeps the beginning of a frame that
 * has not arrived as a whole, and can give it back: between any two octets somebody else may go on.
 */
export class WebSocket {
  #rest = Buffer.alloc(0);

  /** @param onText called with each text. */
  constructor(socket, onText) {
    this.socket = socket;
    this.onText = onText;
  }

  start() {
    this.socket.on('data', this.#read);
    this.socket.resume();
  }

  /** The undo: all that has been read and was no whole frame is the socket's again. */
  stop() {
    this.socket.pause();
    this.socket.off('data', this.#read);
    if (this.#rest.length > 0) this.socket.unshift(this.#rest);
    this.#rest = Buffer.alloc(0);
  }

  send(text) {
    this.#write(TEXT, Buffer.from(text));
  }

  #read = (piece) => {
    this.#rest = Buffer.concat([this.#rest, piece]);
    while (this.#readFrame());
  };

  /** Whether there was a whole one. */
  #readFrame() {
    const bytes = this.#rest;
    if (bytes.length < 2) return false;
    const [first, second] = bytes;
    let length = second & ~MASKED;
    if ((second & MASKED) === 0) return this.#fail(PROTOCOL_ERROR);
    if (length === LENGTH_64) return this.#fail(TOO_BIG);
    let at = 2;
    if (length === LENGTH_16) {
      if (bytes.length < 4) return false;
      length = bytes.readUInt16BE(2);
      at = 4;
    }
    if (length > LONGEST_TEXT) return this.#fail(TOO_BIG);
    if (bytes.length < at + 4 + length) return false;
    const mask = bytes.subarray(at, at + 4);
    const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length)).map(
      (octet, i) => octet ^ mask[i % 4],
    );
    this.#rest = bytes.subarray(at + 4 + length);
    return this.#take(first, payload);
  }

  #take(first, payload) {
    switch (first) {
      case FIN | TEXT:
        this.onText(payload.toString());
        return true;
      case FIN | PING:
        this.#write(PONG, payload);
        return true;
      case FIN | PONG:
        return true;
      case FIN | CLOSE:
        this.#close(payload.subarray(0, 2));
        return false;
      default:
        return this.#fail(UNSUPPORTED);
    }
  }

  #fail(code) {
    const payload = Buffer.alloc(2);
    payload.writeUInt16BE(code);
    this.#close(payload);
    return false;
  }

  #close(payload) {
    this.socket.off('data', this.#read);
    // What still comes is nothing to anybody, but the client's end is.
    this.socket.resume();
    this.#write(CLOSE, payload);
    this.socket.end();
  }

  #write(opcode, payload) {
    if (!this.socket.writable) return;
    const length =
      payload.length < LENGTH_16 ? [payload.length] : [LENGTH_16, payload.length >> 8, payload.length & 255];
    this.socket.write(Buffer.concat([Buffer.from([FIN | opcode, ...length]), payload]));
  }
}
