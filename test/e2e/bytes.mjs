/**
 * The bytes of every bulk transfer: both ends make them from a count and a seed, so that a checksum of the whole is all
 * that has to be compared.
 */
import { createCipheriv, createHash } from 'node:crypto';

/** 1 MiB; making a block takes well under a millisecond, so the generator is never what is measured. */
const BLOCK_BYTES = 1024 * 1024;

/** Odd, so that every block of a transfer starts elsewhere and a swapped or repeated one changes the checksum. */
const ROTATION = 65_537;

/** The first `n` bytes of `seed`, as buffers of up to 1 MiB that the caller must not write to. */
export function* bytes(n, seed) {
  // A prefix of a block is made without the rest: many small transfers at once cost no more than their bytes.
  const twice = n < BLOCK_BYTES ? block(n, seed) : twoBlocks(seed);
  for (let sent = 0, offset = 0; sent < n; sent += BLOCK_BYTES) {
    yield twice.subarray(offset, offset + Math.min(BLOCK_BYTES, n - sent));
    offset = (offset + ROTATION) % BLOCK_BYTES;
  }
}

/** What both ends must find, in hexadecimal digits. */
export function expectedSha256(n, seed) {
  const hash = createHash('sha256');
  for (const piece of bytes(n, seed)) hash.update(piece);
  return hash.digest('hex');
}

/** A pseudo-random block twice in a row: any rotation of it is one slice, and nothing is copied. */
function twoBlocks(seed) {
  const once = block(BLOCK_BYTES, seed);
  return Buffer.concat([once, once]);
}

/** The first `length` bytes of a seed's pseudo-random block. */
function block(length, seed) {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(Number(seed) >>> 0);
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(length));
}
