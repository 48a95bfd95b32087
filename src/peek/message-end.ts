/**
 * Finds the end of one HTTP/1 message in a stream of octets, wherever that is cut (RFC 9112 sections 6 and 7.1).
 *
 *   head, octets of known length |
 *   head, size CRLF data CRLF ... 0 CRLF, trailer lines, CRLF |
 *
 * Its reader is a server that finds the end by itself. It must never find it later than this does, or octets of the next
 * request would pass for the rest of this one. So the first octet that is not as the RFC says is the last of the message:
 * the server gets to see it, and refuses it or waits.
 */
import type { Http1Peek } from './http1';
import * as octet from './octets';

const SEMICOLON = 0x3b;
/** 16^12 octets are 281 TB, and calculated with exactly. */
const MAX_SIZE_DIGITS = 12;

// What the next octet belongs to.
/** The head, and a body of known length. */
const KNOWN = 0;
const SIZE = 1;
const EXTENSION = 2;
const SIZE_LF = 3;
const DATA = 4;
const DATA_CR = 5;
const DATA_LF = 6;
/** The beginning of a line behind the last chunk. */
const LINE = 7;
const TRAILER = 8;
const TRAILER_LF = 9;
const LAST_LF = 10;
const OVER = 11;
/** As OVER, because of an octet that is not as the RFC says. */
const BROKEN = 12;

export class MessageEnd {
  private part = KNOWN;
  /** Octets that follow whatever they are: in KNOWN and DATA. */
  private left: number;
  private size = 0;
  private digits = 0;
  private readonly chunked: boolean;

  /** `head`: the message's, as read; the stream begins with the same octets. */
  constructor({
    headLength,
    contentLength,
    chunked,
  }: Pick<Http1Peek, 'headLength' | 'contentLength' | 'chunked'>) {
    this.left = headLength + Math.max(0, contentLength);
    this.chunked = chunked;
  }

  /** Whether every octet of the message has been taken. */
  get over(): boolean {
    return this.part >= OVER;
  }

  /** It ended with an octet that cannot be: nobody knows what those behind it are. */
  get broken(): boolean {
    return this.part === BROKEN;
  }

  /** How many of the stream's next octets belong to the message. */
  take(bytes: Buffer): number {
    let at = 0;
    while (at < bytes.length && this.part < OVER) {
      if (this.part === KNOWN || this.part === DATA) at += this.pass(bytes.length - at);
      else this.part = this.step(bytes[at++] as number);
    }
    return at;
  }

  private pass(most: number): number {
    const passed = Math.min(this.left, most);
    this.left -= passed;
    if (this.left > 0) return passed;
    if (this.part === DATA) this.part = DATA_CR;
    else this.part = this.chunked ? SIZE : OVER;
    return passed;
  }

  /** The part behind an octet of the current one. */
  private step(next: number): number {
    switch (this.part) {
      case SIZE:
        return this.stepSize(next);
      case EXTENSION:
        return next === octet.CR ? SIZE_LF : next === octet.LF ? BROKEN : EXTENSION;
      case SIZE_LF:
        return next === octet.LF ? this.behindSize() : BROKEN;
      case DATA_CR:
        return next === octet.CR ? DATA_LF : BROKEN;
      case DATA_LF:
        return next === octet.LF ? SIZE : BROKEN;
      case LINE:
        return next === octet.CR ? LAST_LF : next === octet.LF ? BROKEN : TRAILER;
      case TRAILER:
        return next === octet.CR ? TRAILER_LF : next === octet.LF ? BROKEN : TRAILER;
      case TRAILER_LF:
        return next === octet.LF ? LINE : BROKEN;
      default:
        return next === octet.LF ? OVER : BROKEN;
    }
  }

  private stepSize(next: number): number {
    const digit = octet.hexValue(next);
    if (digit >= 0 && this.digits < MAX_SIZE_DIGITS) {
      this.digits += 1;
      this.size = this.size * 16 + digit;
      return SIZE;
    }
    if (this.digits === 0) return BROKEN;
    if (next === octet.CR) return SIZE_LF;
    return next === SEMICOLON ? EXTENSION : BROKEN;
  }

  private behindSize(): number {
    this.left = this.size;
    this.size = this.digits = 0;
    return this.left === 0 ? LINE : DATA;
  }
}
