import { REFUSE } from './http1-step';
import * as octet from './octets';

/**
 * How long the message body is (RFC 9112 section 6). Stricter than the RFC, which lets a recipient repair some
 * disagreements: whoever repairs what another recipient repairs differently lets requests be smuggled.
 * Reusable after reset(). The note functions return 0 or the code of a refusal.
 */
export class Framing {
  /** Octets of the body; -1 when the head does not say. */
  contentLength = -1;
  chunked = false;

  reset(): void {
    this.contentLength = -1;
    this.chunked = false;
  }

  /** Takes a Content-Length value: once, 1*DIGIT, and small enough to calculate with exactly. */
  noteContentLength(bytes: Buffer, start: number, end: number): number {
    if (this.chunked) return REFUSE.framing_conflict;
    if (this.contentLength >= 0 || start === end) return REFUSE.content_length;
    let length = 0;
    for (let at = start; at < end; at++) {
      if (!octet.isOf(octet.DIGIT, bytes, at)) return REFUSE.content_length;
      // The digit first: adding the octet before subtracting would leave the range of exact integers too early.
      length = length * 10 + ((bytes[at] as number) - octet.ZERO);
      if (length > Number.MAX_SAFE_INTEGER) return REFUSE.content_length;
    }
    this.contentLength = length;
    return 0;
  }

  /**
   * Takes a Transfer-Encoding value: `chunked` alone, once. No client sends other codings, and HTTP/1.0 has no
   * transfer codings at all (RFC 9112 section 6.1).
   */
  noteTransferEncoding(bytes: Buffer, start: number, end: number, minorVersion: 0 | 1): number {
    if (this.contentLength >= 0) return REFUSE.framing_conflict;
    if (this.chunked || minorVersion === 0) return REFUSE.transfer_encoding;
    if (!octet.equalsIgnoreCase(bytes, start, end, 'chunked')) return REFUSE.transfer_encoding;
    this.chunked = true;
    return 0;
  }
}
