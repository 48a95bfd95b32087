import { DnsResolver } from '../../src/discovery/dns-resolver';
import type { Resolver } from '../../src/discovery/resolver';
import { DnsServer, type Zone } from '../lab/dns-server';
import { MemoryResolver } from './memory-resolver';

const ZONE: Zone = {
  'api.internal/A': { ttl: 7, data: ['198.18.0.21', '198.18.0.22'] },
  'api.internal/AAAA': { ttl: 9, data: ['2001:2::21'] },
  'four.internal/A': { ttl: 1, data: ['198.18.0.23'] },
  'alias.internal/CNAME': { ttl: 3, data: ['api.internal'] },
  '_baton._tcp.internal/SRV': {
    ttl: 1,
    data: [
      [10, 5, 7400, 'B1.internal'],
      [20, 0, 7401, 'b2.internal'],
    ],
  },
  'broken.internal/A': 'SERVFAIL',
  '_broken.internal/SRV': 'SERVFAIL',
  'shut.internal/A': 'REFUSED',
  'silent.internal/A': 'silence',
};

let server: DnsServer;
beforeAll(async () => {
  server = await DnsServer.start();
});
beforeEach(() => server.set(ZONE));
afterAll(() => server.stop());

const real = (): Resolver => new DnsResolver({ host: server.address, port: server.port, family: 4 });

/** Round robin at the server, or on the way, is no matter. */
const sorted = <T>(all: readonly T[]): T[] =>
  [...all].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

describe.each([
  ['DnsResolver', real],
  ['MemoryResolver', () => new MemoryResolver(ZONE)],
])('%s', (_name, make) => {
  test('gives addresses of either family with their TTL', async () => {
    expect(sorted(await make().addresses('api.internal', 4))).toEqual([
      { address: '198.18.0.21', ttl: 7 },
      { address: '198.18.0.22', ttl: 7 },
    ]);
    expect(await make().addresses('api.internal', 6)).toEqual([{ address: '2001:2::21', ttl: 9 }]);
  });

  test('follows an alias, whose TTL bounds that of the address', async () => {
    expect(await make().addresses('alias.internal', 6)).toEqual([{ address: '2001:2::21', ttl: 3 }]);
  });

  test('gives services', async () => {
    expect(sorted(await make().services('_baton._tcp.internal'))).toEqual([
      { priority: 10, weight: 5, port: 7400, target: 'B1.internal' },
      { priority: 20, weight: 0, port: 7401, target: 'b2.internal' },
    ]);
  });

  test('has none of a name that is not there, nor of one with other records', async () => {
    expect(await make().addresses('absent.internal', 4)).toEqual([]);
    expect(await make().addresses('four.internal', 6)).toEqual([]);
    expect(await make().services('four.internal')).toEqual([]);
  });

  test('rejects where there is no answer, with the record, the name and the code', async () => {
    await expect(make().addresses('broken.internal', 4)).rejects.toMatchObject({
      message: expect.stringMatching(/^query A broken\.internal: ESERVFAIL$/) as string,
      code: 'ESERVFAIL',
    });
    await expect(make().services('_broken.internal')).rejects.toThrow(
      'query SRV _broken.internal: ESERVFAIL',
    );
    await expect(make().addresses('shut.internal', 4)).rejects.toThrow('query A shut.internal: EREFUSED');
  });

  test('gives up when it is told to', async () => {
    const resolver = make();
    const answer = resolver.addresses('silent.internal', 4);
    setImmediate(() => resolver.cancel());
    await expect(answer).rejects.toThrow('query A silent.internal: ECANCELLED');
  });
});

test('a server that says nothing is not waited for long', async () => {
  const begun = performance.now();
  await expect(real().addresses('silent.internal', 4)).rejects.toThrow('query A silent.internal: ETIMEOUT');
  expect(performance.now() - begun).toBeLessThan(5000);
  expect(server.asked.filter((line) => line === 'silent.internal/A udp').length).toBeGreaterThanOrEqual(2);
});

test('nothing is remembered between two resolutions, whatever the TTL', async () => {
  await server.set({ 'api.internal/A': { ttl: 3600, data: ['198.18.0.21'] } });
  expect(await real().addresses('api.internal', 4)).toMatchObject([{ address: '198.18.0.21' }]);
  await server.set({ 'api.internal/A': { ttl: 3600, data: ['198.18.0.22'] } });
  expect(await real().addresses('api.internal', 4)).toMatchObject([{ address: '198.18.0.22' }]);
});

test('an answer that fits into no packet comes over TCP', async () => {
  const data = Array.from({ length: 2000 }, (_, k) => `10.0.${k >> 8}.${k & 255}`);
  await server.set({ 'many.internal/A': { ttl: 5, data } });
  const found = await real().addresses('many.internal', 4);
  expect(sorted(found.map(({ address }) => address))).toEqual(sorted(data));
  expect(server.asked).toContain('many.internal/A tcp');
});
