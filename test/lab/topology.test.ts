import { planHosts } from '../../src/lab/topology';

function addressesOf(options: Parameters<typeof planHosts>[0]): Record<string, string[]> {
  return Object.fromEntries(
    planHosts(options).map(({ name, addresses4, address6 }) => [name, [...addresses4, address6]]),
  );
}

describe('planHosts', () => {
  test('numbers hosts and addresses by role', () => {
    expect(addressesOf({ clients: 2, fronts: 2, backends: 1, clientAddresses: 2 })).toEqual({
      c1: ['198.18.1.1', '198.18.1.2', '2001:2::1:1'],
      c2: ['198.18.2.1', '198.18.2.2', '2001:2::2:1'],
      f1: ['198.18.0.11', '2001:2::11'],
      f2: ['198.18.0.12', '2001:2::12'],
      b1: ['198.18.0.21', '2001:2::21'],
    });
  });

  test('has one client, one front and two backends by default', () => {
    expect(Object.keys(addressesOf({}))).toEqual(['c1', 'f1', 'b1', 'b2']);
  });

  test('puts the clients into a network of their own behind a router', () => {
    expect(addressesOf({ router: true, clients: 2 })).toMatchObject({
      c1: ['198.18.128.1', '2001:2:0:80::1:1'],
      c2: ['198.18.129.1', '2001:2:0:80::2:1'],
      rt: ['198.18.0.254', '2001:2::fe'],
    });
  });

  test.each([{}, { router: true }])('gives no address twice at its largest, %j', (options) => {
    const largest = { clients: 99, fronts: 10, backends: 200, clientAddresses: 250, ...options };
    const all = planHosts(largest).flatMap((host) => host.interfaces.flatMap(({ addresses }) => addresses));
    const bare = all.map((address) => address.replace(/\/.*/, ''));
    expect(new Set(bare).size).toBe(bare.length);
  });

  test.each([
    { clients: 100 },
    { fronts: 11 },
    { backends: -1 },
    { clientAddresses: 0 },
    { clientAddresses: 1.5 },
  ])('refuses %j', (options) => expect(() => planHosts(options)).toThrow(RangeError));
});
