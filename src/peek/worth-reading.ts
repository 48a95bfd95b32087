const LF = 0x0a;
/** A head in pieces is read again when it has grown by this share, or a line has come to its end. */
const GROWTH = 1 / 16;

/**
 * Whether a head that was incomplete after `read` bytes is worth reading again, of which bytes [0, `length`) are here.
 *
 * A head is read from its beginning each time. A client that sends it octet by octet would make that cost the square of its
 * length, 0.2 s for 16 KiB, so pieces that decide nothing are passed over: only the end of a line can complete a head, and
 * what is wrong with a line is as wrong a little later.
 */
export function worthReading(bytes: Buffer, read: number, length: number): boolean {
  if (length - read > read * GROWTH) return true;
  const lineEnd = bytes.indexOf(LF, read);
  return lineEnd >= 0 && lineEnd < length;
}
