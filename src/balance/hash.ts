/**
 * MurmurHash3_x86_32 of the UTF-16 code units of a text, as if each were two octets (Austin Appleby, public domain): an
 * unsigned 32-bit number that is the same in every process. It keeps nobody from choosing keys that collide.
 */
export function hash32(text: string, seed: number): number {
  let h = seed;
  const pairs = text.length & ~1;
  for (let i = 0; i < pairs; i += 2) h = mix(h, text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16));
  if (pairs < text.length) h ^= scramble(text.charCodeAt(pairs));
  return finish(h ^ (2 * text.length));
}

/** Takes the next 32 bits into a hash; `finish` follows the last. */
export function mix(hash: number, word: number): number {
  const h = hash ^ scramble(word);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function scramble(k: number): number {
  const mixed = Math.imul(k, 0xcc9e2d51);
  return Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
}

/** The next of a row of hashes that begins with any: as many as are wanted, of a key that is read once. */
export function rehash(hash: number): number {
  return finish((hash + 0x9e3779b9) | 0);
}

/** Every bit of the input has a say in every bit of the result. */
export function finish(hash: number): number {
  let h = hash;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
