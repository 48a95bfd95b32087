import fc from 'fast-check';
import { formatEndpoint, parseAddress, parseEndpoint } from '../../src/config/addresses';

describe('addresses', () => {
  test.each([
    ['198.18.0.1', { host: '198.18.0.1', family: 4 }],
    ['2001:db8::1', { host: '2001:db8::1', family: 6 }],
    ['2001:DB8:0:0::0001', { host: '2001:db8::1', family: 6 }],
  ])('%s', (text, address) => {
    expect(parseAddress(text)).toEqual(address);
  });

  test.each([
    '',
    'localhost',
    '198.18.0',
    '198.18.0.256',
    '01.2.3.4',
    '[::1]',
    'fe80::1%eth0',
    '::ffff:198.18.0.1',
  ])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('endpoints', () => {
  test.each([
    ['198.18.0.1:80', { host: '198.18.0.1', port: 80, family: 4 }],
    ['198.18.0.1:0', { host: '198.18.0.1', port: 0, family: 4 }],
    ['[2001:DB8::1]:65535', { host: '2001:db8::1', port: 65535, family: 6 }],
  ])('%s', (text, endpoint) => {
    expect(parseEndpoint(text)).toEqual(endpoint);
  });

  test.each([
    '198.18.0.1',
    '198.18.0.1:',
    '198.18.0.1:65536',
    '198.18.0.1:8o',
    '198.18.0.1:-1',
    '[198.18.0.1]:80',
    '2001:db8::1:80',
    '[2001:db8::1]',
    'localhost:80',
    ':80',
    ' 198.18.0.1:80',
  ])('%j is none', (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  });

  test('formatting and parsing are inverse', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 0, max: 65535 }), (host, port) => {
        const address = parseAddress(host);
        fc.pre(address !== undefined);
        const endpoint = { ...address, port };
        expect(parseEndpoint(formatEndpoint(endpoint))).toEqual(endpoint);
      }),
    );
  });
});
