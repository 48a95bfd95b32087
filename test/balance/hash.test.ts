import { hash32 } from '../../src/balance/hash';

/** Octets as the code units that hash32 takes them for. */
function unitsOf(octets: string): string {
  return Buffer.from(octets, 'latin1').toString('utf16le');
}

test.each([
  ['', 0, 0],
  ['', 1, 0x514e28b7],
  ['test', 0, 0xba6bd213],
  ['test', 0x9747b28c, 0x704b81dc],
  ['aaaa', 0x9747b28c, 0x5a97808a],
  ['aa', 0x9747b28c, 0x5d211726],
  ['abcd', 0x9747b28c, 0xf0478627],
  ['ab', 0x9747b28c, 0x74875592],
  ['foobar', 0, 0xa4c4d4bd],
  ['hello, world', 0, 0x149bbb7f],
  ['The quick brown fox jumps over the lazy dog.', 0, 0xd5c48bfc],
])('MurmurHash3_x86_32 of %j with seed %i', (octets, seed, hash) => {
  expect(hash32(unitsOf(octets), seed)).toBe(hash);
});

test('texts that differ in one bit have little in common', () => {
  let common = 0;
  for (let i = 0; i < 1000; i++) {
    const [a, b] = [hash32(`key-${2 * i}`, 3), hash32(`key-${2 * i + 1}`, 3)];
    for (let bit = 0; bit < 32; bit++) common += ((a ^ b) >>> bit) & 1 ? 0 : 1;
  }
  expect(common / 32_000).toBeGreaterThan(0.48);
  expect(common / 32_000).toBeLessThan(0.52);
});
