import { FRAME_HEADER_BYTES, longestPayload, ProtocolError } from './frames';
import { looksLikeTls } from './tls-errors';

/** Called for each frame; the bytes are valid during the call only. */
export type OnFrame = (type: number, bytes: Buffer, offset: number, length: number) => void;

const EMPTY = Buffer.alloc(0);

/**
 * A push parser: whatever pieces the stream comes in, `onFrame` is called once per frame, in order. Frames that lie
 * whole within a piece are not copied. Memory is bounded by the longest frame of the type announced.
 */
export class FrameDecoder {
  /** The beginning of a frame whose rest has not arrived; allocated once its length is known. */
  #partial: Buffer = EMPTY;
  #filled = 0;
  #startedAt = Infinity;
  readonly #header = Buffer.alloc(FRAME_HEADER_BYTES);

  /** `longest` is the longest payload that a frame of a type may have, 0 for types that are not known. */
  constructor(private readonly longest: (type: number) => number = longestPayload) {}

  /** When the frame whose rest is missing began, performance.now(); Infinity while none does. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** Throws a ProtocolError for a frame that cannot be; the stream is then of no further use. */
  push(chunk: Buffer, onFrame: OnFrame): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled > 0) {
        at = this.#continue(chunk, at, onFrame);
      } else if (chunk.length - at < FRAME_HEADER_BYTES) {
        at = this.#startHeader(chunk, at);
      } else {
        const length = this.#payloadLength(chunk, at);
        const end = at + FRAME_HEADER_BYTES + length;
        if (end > chunk.length) {
          at = this.#startFrame(chunk, at, FRAME_HEADER_BYTES + length);
        } else {
          onFrame(chunk.readUInt8(at + 4), chunk, at + FRAME_HEADER_BYTES, length);
          at = end;
        }
      }
    }
  }

  #startHeader(chunk: Buffer, at: number): number {
    this.#partial = this.#header;
    this.#filled = chunk.copy(this.#header, 0, at);
    return chunk.length;
  }

  #startFrame(chunk: Buffer, at: number, total: number): number {
    this.#partial = Buffer.allocUnsafe(total);
    this.#startedAt = performance.now();
    this.#filled = chunk.copy(this.#partial, 0, at);
    return chunk.length;
  }

  #continue(chunk: Buffer, at: number, onFrame: OnFrame): number {
    const copied = chunk.copy(this.#partial, this.#filled, at, at + this.#partial.length - this.#filled);
    this.#filled += copied;
    if (this.#filled < this.#partial.length) return at + copied;

    const frame = this.#partial;
    const length = this.#payloadLength(frame, 0);
    if (frame === this.#header && length > 0) {
      // The header is complete and says how much follows.
      this.#startFrame(frame, 0, FRAME_HEADER_BYTES + length);
      return at + copied;
    }
    this.#partial = EMPTY;
    this.#filled = 0;
    this.#startedAt = Infinity;
    onFrame(frame.readUInt8(4), frame, FRAME_HEADER_BYTES, length);
    return at + copied;
  }

  #payloadLength(bytes: Buffer, at: number): number {
    const length = bytes.readUInt32BE(at);
    const type = bytes.readUInt8(at + 4);
    const longest = this.longest(type);
    if (length > longest && looksLikeTls(bytes, at))
      throw new ProtocolError(
        'the peer speaks TLS, and this side does not: see `control` in both configurations',
      );
    if (longest === 0) throw new ProtocolError(`unknown frame type ${type}`);
    if (length > longest)
      throw new ProtocolError(`frame of type ${type} with ${length} bytes, at most ${longest} allowed`);
    return length;
  }
}
