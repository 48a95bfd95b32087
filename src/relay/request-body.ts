import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';

/**
 * True when a body follows the head (RFC 9112 section 6.3). The parser has already refused contradictions between
 * the two fields.
 */
export function hasBody(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined) return true;
  return Number(request.headers['content-length'] ?? 0) > 0;
}

/**
 * The body of a request as the stream that the origin's connection reads.
 *
 * undici destroys the body it was given as soon as the exchange is over, and destroying an IncomingMessage takes the
 * client's connection along. This stream can be destroyed while the message, and with it the answer, lives on.
 */
export class RequestBody extends Readable {
  constructor(private readonly request: IncomingMessage) {
    super({ highWaterMark: request.readableHighWaterMark });
    // An aborted exchange is reported by its handler; here it is only cleaned up.
    this.on('error', () => undefined);
    // Without this the listener for data would start the flow before anybody reads.
    request.pause();
    request.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose);
  }

  override _read(): void {
    this.request.resume();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.request.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose);
    callback(error);
  }

  private readonly onData = (chunk: Buffer): void => {
    if (!this.push(chunk)) this.request.pause();
  };

  private readonly onEnd = (): void => {
    this.push(null);
  };

  private readonly onClose = (): void => {
    if (!this.request.complete) this.destroy(new Error('the client broke off its request body'));
  };
}
