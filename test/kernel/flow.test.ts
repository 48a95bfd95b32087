import fc from 'fast-check';
import { isIPv6 } from 'node:net';
import * as flows from '../../src/kernel/flow';

const V4 = '::ffff:';

describe('addresses', () => {
  test.each([
    ['0.0.0.0', '00000000000000000000ffff00000000', '0.0.0.0'],
    ['198.19.0.1', '00000000000000000000ffffc6130001', '198.19.0.1'],
    ['255.255.255.255', '00000000000000000000ffffffffffff', '255.255.255.255'],
    ['::', '00000000000000000000000000000000', '::'],
    ['::1', '00000000000000000000000000000001', '::1'],
    ['1::', '00010000000000000000000000000000', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['2001:2:0:ff::1', '2001000200 0000ff0000000000000001'.replace(' ', ''), '2001:2:0:ff::1'],
    // A single zero group is not shortened (RFC 5952 section 4.2.2).
    ['1:0:3:4:5:6:7:8', '00010000000300040005000600070008', '1:0:3:4:5:6:7:8'],
    ['::ffff:198.19.0.1', '00000000000000000000ffffc6130001', '198.19.0.1'],
    ['::ffff:c613:1', '00000000000000000000ffffc6130001', '198.19.0.1'],
    // Each lacks one thing that an IPv4 address has: the zeros before, or the ffff.
    ['8000::ffff:c613:1', '80000000000000000000ffffc6130001', '8000::ffff:c613:1'],
    ['0:0:0:1::ffff:c613:1', '00000000000000010000ffffc6130001', '::1:0:ffff:c613:1'],
    ['::1:ffff:c613:1', '00000000000000000001ffffc6130001', '::1:ffff:c613:1'],
    ['::198.19.0.1', '000000000000000000000000c6130001', '::c613:1'],
    ['64:ff9b::198.19.0.1', '0064ff9b0000000000000000c6130001', '64:ff9b::c613:1'],
  ])('%s', (text, bytes, spelling) => {
    expect(flows.parseAddress(text).toString('hex')).toBe(bytes);
    expect(flows.formatAddress(Buffer.from(bytes, 'hex'))).toBe(spelling);
  });

  test.each([
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.4:80',
    '[::1]',
    '::1/64',
    ':::',
    'fe80::1%eth0',
  ])('%p is none', (text) => expect(() => flows.parseAddress(text)).toThrow(RangeError));

  test('any 16 bytes survive being written out and read again', () => {
    const word = fc.oneof(fc.constantFrom(0, 1, 0xffff), fc.nat(0xffff));
    fc.assert(
      fc.property(fc.array(word, { minLength: 8, maxLength: 8 }), fc.boolean(), (words, mapped) => {
        const bytes = Buffer.from(words.map((each) => each.toString(16).padStart(4, '0')).join(''), 'hex');
        if (mapped) flows.parseAddress('::ffff:0:0').copy(bytes, 0, 0, 12);
        const text = flows.formatAddress(bytes);
        expect(flows.parseAddress(text)).toEqual(bytes);
        expect(isIPv6(text)).toBe(!flows.isMapped(bytes, 0));
      }),
      { numRuns: 2000 },
    );
  });

  test('other spellings of an address mean the same', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.ipV4(),
          fc.ipV6(),
          fc.ipV4().map((address) => V4 + address),
        ),
        (text) => {
          const once = flows.formatAddress(flows.parseAddress(text));
          expect(flows.formatAddress(flows.parseAddress(once))).toBe(once);
          expect(once).toBe(once.toLowerCase());
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('writes at an offset and touches nothing else', () => {
    const target = Buffer.alloc(24, 0xee);
    for (const text of ['1.2.3.4', '2001:2::1']) {
      flows.parseAddress(text, target, 4);
      expect(flows.formatAddress(target, 4)).toBe(text);
      expect(target.toString('hex')).toMatch(/^eeeeeeee.{32}eeeeeeee$/);
    }
  });
});

const endpoint = fc.record({ port: fc.integer({ min: 0, max: 65535 }), v4: fc.ipV4(), v6: fc.ipV6() });

describe('flows', () => {
  test.each([
    ['198.18.1.1', 40000, '198.19.0.1', 80, 4, '198.18.1.1:40000>198.19.0.1:80'],
    ['2001:2::1', 40000, '2001:2:0:ff::1', 443, 6, '[2001:2::1]:40000>[2001:2:0:ff::1]:443'],
    ['0.0.0.0', 0, '255.255.255.255', 65535, 4, '0.0.0.0:0>255.255.255.255:65535'],
  ])('%s:%i>%s:%i', (client, clientPort, vip, vipPort, family, text) => {
    const flow = flows.makeFlow(client, clientPort, vip, vipPort);
    expect(flow).toHaveLength(flows.FLOW_BYTES);
    expect(flows.flowFamily(flow)).toBe(family);
    expect(flows.formatFlow(flow)).toBe(text);
    const shifted = Buffer.concat([Buffer.alloc(7, 0xee), flow]);
    expect(flows.flowFamily(shifted, 7)).toBe(family);
    expect(flows.formatFlow(shifted, 7)).toBe(text);
  });

  test('the layout is the one of struct flow_key in steer.bpf.c', () => {
    expect(flows.makeFlow('198.18.1.1', 0x0102, '198.19.0.1', 0x0304).toString('hex')).toBe(
      ['00000000000000000000ffffc6120101', '00000000000000000000ffffc6130001', '0102', '0304'].join(''),
    );
  });

  test('sockaddrs and flows convert both ways', () => {
    const sockaddr = Buffer.alloc(flows.SOCKADDR_BYTES);
    fc.assert(
      fc.property(endpoint, endpoint, fc.boolean(), (client, vip, ipv4) => {
        const hosts = ipv4 ? [client.v4, vip.v4] : [client.v6, vip.v6];
        const flow = flows.makeFlow(hosts[0] ?? '', client.port, hosts[1] ?? '', vip.port);
        const rebuilt = Buffer.alloc(flows.FLOW_BYTES, 0xee);

        sockaddr.fill(0xee);
        const length = flows.sockaddrFromFlowClient(flow, 0, sockaddr);
        flows.flowClientFromSockaddr(sockaddr, rebuilt);
        expect(flows.sockaddrFromFlowVip(flow, 0, sockaddr)).toBe(length);
        flows.flowVipFromSockaddr(sockaddr, rebuilt);
        expect(rebuilt).toEqual(flow);
      }),
      { numRuns: 500 },
    );
  });

  test('a sockaddr is laid out as the kernel has it', () => {
    const sockaddr = Buffer.alloc(flows.SOCKADDR_BYTES, 0xee);
    expect(flows.sockaddrFromEndpoint('198.19.0.1', 80, sockaddr)).toBe(16);
    // AF_INET in host order, port and address in network order, eight zeros (ip(7)).
    expect(sockaddr.toString('hex', 0, 16)).toBe('02000050c61300010000000000000000');
    expect(flows.sockaddrFromEndpoint('2001:2::1', 443, sockaddr)).toBe(28);
    // AF_INET6, port, flow label 0, address, scope 0 (ipv6(7)).
    expect(sockaddr.toString('hex')).toBe(
      ['0a00', '01bb', '00000000', '20010002000000000000000000000001', '00000000'].join(''),
    );
  });
});

test.each(['198.18.1.1:40000>198.19.0.1:80', '[2001:2::1]:1>[2001:2:0:ff::1]:65535'])(
  '%s is read as it is written',
  (text) => {
    const flow = flows.parseFlow(text);
    expect(flow && flows.formatFlow(flow)).toBe(text);
  },
);

test.each([
  '',
  '198.18.1.1:40000',
  '198.18.1.1:40000>198.19.0.1',
  '198.18.1.1:65536>198.19.0.1:80',
  '198.18.1.1:1>[2001:2::1]:80',
  '198.18.1:1>198.19.0.1:80',
  '198.18.1.1:1>198.19.0.1:80 ',
])('%p is no flow', (text) => expect(flows.parseFlow(text)).toBeUndefined());
