import fc from 'fast-check';
import { BlockList } from 'node:net';
import { formatAddress, makeFlow, parseAddress } from '../../src/kernel/flow';
import { Network } from '../../src/route/network';

test.each([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.0.0.1', '10.0.0.1'],
  ['10.0.0.1/32', '10.0.0.1'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['2001:DB8:0:0::/32', '2001:db8::/32'],
  ['::/0', '::/0'],
  ['::1', '::1'],
  ['::1/128', '::1'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['::ffff:a00:1', '10.0.0.1'],
])('%s is %s', (text, spelling) => {
  expect(Network.parse(text)?.toString()).toBe(spelling);
  expect(Network.parse(text)?.base.toString()).toBe(spelling);
});

test.each([
  ['10.0.0.1/8', '10.0.0.0/8'],
  ['10.255.0.0/9', '10.128.0.0/9'],
  ['1.2.3.4/0', '0.0.0.0/0'],
  ['2001:db8::1/32', '2001:db8::/32'],
  ['fe80::1/10', 'fe80::/10'],
  ['febf::/10', 'fe80::/10'],
  ['::ffff:10.0.0.1/104', '10.0.0.0/8'],
  ['::ffff:10.0.0.1/95', '::fffe:0:0/95'],
])('%s is in the network %s', (text, base) => {
  expect(Network.parse(text)?.base.toString()).toBe(base);
});

test.each([
  ...[
    '',
    '/8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/8.0',
    '10/8',
  ],
  ...[
    'a',
    '10.0.0.0/a',
    '10.0.0.256/32',
    '::/129',
    'fe80::1%eth0/64',
    '[::1]',
    ' ::1',
    '::1 ',
    '10.0.0.0 /8',
  ],
  ...['10.0.0.0/255.0.0.0', '01.2.3.4', '10.0.0.0/1e1', '10.0.0.0/999'],
])('%j is none', (text) => {
  expect(Network.parse(text)).toBeUndefined();
});

test.each([
  ['10.0.0.0/8', '10.255.255.255', true],
  ['10.0.0.0/8', '11.0.0.0', false],
  ['10.128.0.0/9', '10.128.0.1', true],
  ['10.128.0.0/9', '10.127.255.255', false],
  ['10.0.0.0/31', '10.0.0.1', true],
  ['10.0.0.0/31', '10.0.0.2', false],
  ['10.0.0.1', '10.0.0.1', true],
  ['10.0.0.1', '10.0.0.2', false],
  ['0.0.0.0/0', '255.1.2.3', true],
  ['0.0.0.0/0', '::', false],
  ['0.0.0.0/0', '2001:db8::1', false],
  ['::/0', '2001:db8::1', true],
  ['::/0', '10.0.0.1', false],
  ['::/80', '10.0.0.1', false],
  ['::/80', '::1', true],
  ['10.0.0.0/8', '::ffff:10.0.0.1', true],
  ['::ffff:10.0.0.0/104', '10.0.0.1', true],
  ['10.0.0.0/8', 'a00::', false],
  ['fe80::/10', 'febf::1', true],
  ['fe80::/10', 'fec0::1', false],
])('%s holds %s: %s', (network, address, expected) => {
  expect(Network.parse(network)?.holds(parseAddress(address))).toBe(expected);
});

test('what is behind the 16 bytes of a client is not looked at', () => {
  const flow = makeFlow('10.0.0.1', 40_000, '198.19.0.1', 80);
  expect(Network.parse('10.0.0.1')?.holds(flow)).toBe(true);
  expect(Network.parse('198.19.0.1')?.holds(flow)).toBe(false);
});

/** Bytes of which the first ones are often alike. */
const bytes = (length: number) =>
  fc
    .tuple(fc.constantFrom(0, 0xaa), fc.nat(length), fc.uint8Array({ minLength: length, maxLength: length }))
    .map(([first, same, rest]) => Buffer.from(rest).fill(first, 0, same));

test.each([4, 6] as const)('IPv%i: as the block list of Node has it', (family) => {
  const [length, bits] = family === 4 ? [4, 32] : [16, 128];
  const spelled = (address: Buffer) =>
    formatAddress(family === 6 ? address : Buffer.concat([parseAddress('0.0.0.0').subarray(0, 12), address]));
  const outcomes = { in: 0, out: 0 };
  fc.assert(
    fc.property(bytes(length), bytes(length), fc.integer({ min: 1, max: bits }), (base, other, prefix) => {
      const list = new BlockList();
      list.addSubnet(spelled(base), prefix, `ipv${family}`);
      const network = Network.parse(`${spelled(base)}/${prefix}`);
      for (const address of [spelled(other), spelled(base)]) {
        const expected = list.check(address, `ipv${family}`);
        expect(network?.holds(parseAddress(address))).toBe(expected);
        expect(network?.base.holds(parseAddress(address))).toBe(expected);
        outcomes[expected ? 'in' : 'out']++;
      }
      expect(Network.parse(String(network?.base))).toEqual(network?.base);
    }),
    { numRuns: 1000 },
  );
  expect(outcomes.in).toBeGreaterThan(1100);
  expect(outcomes.out).toBeGreaterThan(100);
});
