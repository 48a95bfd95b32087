import fc from 'fast-check';
import { lookUp, type Question } from '../../src/discovery/lookup';
import { MAX_MEMBERS } from '../../src/discovery/member';
import type { Zone, ZoneEntry } from '../lab/dns-server';
import { MemoryResolver } from './memory-resolver';

const A: Question = { dns: 'api.internal', records: 'addresses', families: [4], loopback: false };
const BOTH: Question = { ...A, families: [4, 6] };
const SRV: Question = { ...A, dns: '_baton._tcp.internal', records: 'services' };

const entry = (ttl: number, ...data: Exclude<ZoneEntry, string>['data']): ZoneEntry => ({ ttl, data });
const look = (question: Question, zone: Zone) => lookUp(question, new MemoryResolver(zone));
const at4 = (host: string) => ({ host, family: 4 as const });
const at6 = (host: string) => ({ host, family: 6 as const });

describe('addresses', () => {
  test('each is a member, named by itself; the shortest TTL counts', async () => {
    const zone = {
      'api.internal/A': entry(9, '198.18.0.22', '198.18.0.21', '198.18.0.21'),
      'api.internal/AAAA': entry(5, '2001:2:0:0::21'),
    };
    expect(await look(BOTH, zone)).toEqual({
      members: [
        { name: '198.18.0.21', addresses: [at4('198.18.0.21')] },
        { name: '198.18.0.22', addresses: [at4('198.18.0.22')] },
        { name: '2001-2--21', addresses: [at6('2001:2::21')] },
      ],
      ttl: 5,
      refused: [],
    });
  });

  test('only families of listeners are asked for', async () => {
    const resolver = new MemoryResolver({ 'api.internal/A': entry(1, '198.18.0.21') });
    await lookUp(A, resolver);
    expect(resolver.asked).toEqual(['api.internal/A']);
  });

  test('of a name without records there is nothing', async () => {
    expect(await look(BOTH, {})).toEqual({ members: [], ttl: 0, refused: [] });
  });

  test('where one family fails, all does', async () => {
    const zone: Zone = { 'api.internal/A': entry(1, '198.18.0.21'), 'api.internal/AAAA': 'SERVFAIL' };
    await expect(look(BOTH, zone)).rejects.toThrow('query AAAA api.internal: ESERVFAIL');
  });

  test.each([
    ['0.0.0.0', 'an unspecified address'],
    ['0.1.2.3', 'an unspecified address'],
    ['127.0.0.1', 'a loopback address'],
    ['224.0.0.1', 'a multicast address'],
    ['239.255.255.255', 'a multicast address'],
    ['240.0.0.1', 'a reserved address'],
    ['255.255.255.255', 'a reserved address'],
    ['::', 'an unspecified address'],
    ['::1', 'a loopback address'],
    ['ff02::1', 'a multicast address'],
    ['fe80::1', 'a link-local address'],
    ['febf::1', 'a link-local address'],
    ['::ffff:198.18.0.21', 'no IPv6 address'],
  ])('%s is refused: %s', async (address, kind) => {
    const type = address.includes(':') ? 'AAAA' : 'A';
    const zone: Zone = {
      'api.internal/A': entry(1, '198.18.0.21'),
      [`api.internal/${type}`]: entry(1, address, type === 'A' ? '198.18.0.21' : '2001:2::21'),
    };
    const { members, refused } = await look({ ...A, families: [type === 'A' ? 4 : 6] }, zone);
    expect(members).toHaveLength(1);
    expect(refused).toEqual([`"${address}" of api.internal is ${kind}`]);
  });

  test('loopback is no surprise where a listener is on it', async () => {
    const zone = { 'api.internal/A': entry(1, '127.0.0.2') };
    expect(await look({ ...A, loopback: true }, zone)).toMatchObject({
      members: [{ name: '127.0.0.2' }],
      refused: [],
    });
  });

  test(`more than ${MAX_MEMBERS} are cut off, the same ones in whatever order`, async () => {
    const all = Array.from({ length: 1500 }, (_, k) => `10.0.${k >> 8}.${k & 255}`);
    const { members, refused } = await look(A, { 'api.internal/A': entry(1, ...all) });
    const other = await look(A, { 'api.internal/A': entry(1, ...all.reverse()) });
    expect(members).toHaveLength(MAX_MEMBERS);
    expect(refused).toEqual([`1500 backends are more than ${MAX_MEMBERS}: the rest is left out`]);
    expect(other.members).toEqual(members);
  });
});

describe('services', () => {
  const ADDRESSES = {
    'b1.internal/A': entry(30, '198.18.0.21'),
    'b2.internal/A': entry(20, '198.18.0.22'),
    'b3.internal/A': entry(40, '198.18.0.23'),
  };
  const services = (...data: [number, number, number, string][]) =>
    look(SRV, { ...ADDRESSES, '_baton._tcp.internal/SRV': entry(1, ...data) });
  const weights = async (...given: number[]) => {
    const names = ['b1.internal', 'b2.internal', 'b3.internal'];
    const records = given.map((weight, k): [number, number, number, string] => [
      0,
      weight,
      1,
      names[k] ?? '',
    ]);
    return (await services(...records)).members.map(({ weight }) => weight);
  };

  test('each target of the best priority is a member; its TTL is that of the addresses', async () => {
    expect(
      await services(
        [20, 1, 7400, 'b3.internal'],
        [10, 3, 7401, 'B2.internal'],
        [10, 1, 7400, 'b1.internal'],
      ),
    ).toEqual({
      members: [
        { name: 'b1.internal', addresses: [at4('198.18.0.21')], port: 7400, weight: 1 },
        { name: 'b2.internal', addresses: [at4('198.18.0.22')], port: 7401, weight: 3 },
      ],
      ttl: 20,
      refused: [],
    });
  });

  test('a member has one address per family, the same one in whatever order', async () => {
    const zone = {
      '_baton._tcp.internal/SRV': entry(1, [0, 0, 7400, 'b1.internal']),
      'b1.internal/A': entry(1, '198.18.0.22', '198.18.0.21'),
      'b1.internal/AAAA': entry(1, '2001:2::22', '2001:2::21'),
    };
    const { members } = await look({ ...SRV, families: [4, 6] }, zone);
    expect(members).toEqual([
      { name: 'b1.internal', addresses: [at4('198.18.0.21'), at6('2001:2::21')], port: 7400, weight: 1 },
    ]);
  });

  test('weights keep their proportions', async () => {
    expect(await weights(0, 0, 0)).toEqual([1, 1, 1]);
    expect(await weights(0, 5, 1)).toEqual([0, 5, 1]);
    expect(await weights(65_535, 32_768, 1)).toEqual([1000, 500, 1]);
    const weight = fc.nat({ max: 65_535 });
    await fc.assert(
      fc.asyncProperty(weight, weight, weight, async (...given) => {
        const scaled = await weights(...given);
        for (const each of scaled) expect(each).toBeLessThanOrEqual(1000);
        expect(Math.max(...scaled.map(Number))).toBeGreaterThan(0);
        given.forEach((a, i) =>
          given.forEach((b, j) => {
            if (a <= b && b > 0) expect(scaled[i]).toBeLessThanOrEqual(Number(scaled[j]));
          }),
        );
      }),
    );
  });

  test('records of the same target are one', async () => {
    const { members, refused } = await services(
      [0, 1, 7401, 'b1.internal'],
      [0, 2, 7400, 'b1.internal'],
      [0, 3, 7400, 'b1.internal'],
    );
    expect(members).toEqual([
      { name: 'b1.internal', addresses: [at4('198.18.0.21')], port: 7400, weight: 5 },
    ]);
    expect(refused).toEqual(['target b1.internal has a second port, 7401: a backend has one agent']);
  });

  test('what cannot be a backend is refused, and does not stand for the best priority', async () => {
    const long = `${'x'.repeat(60)}.internal`;
    const { members, refused } = await services(
      [0, 1, 7400, 'a b'],
      [0, 1, 7400, '$(reboot)'],
      [0, 1, 7400, '..'],
      [0, 1, 7400, long],
      [0, 1, 0, 'b2.internal'],
      [0, 1, 7400, '.'],
      [5, 1, 7400, 'b1.internal'],
      [5, 1, 7400, 'gone.internal'],
    );
    expect(members.map(({ name }) => name)).toEqual(['b1.internal']);
    expect(refused).toEqual([
      'target "$(reboot)" cannot be a backend\'s name',
      'target ".." cannot be a backend\'s name',
      'target "a b" cannot be a backend\'s name',
      'target "b2.internal" has port 0',
      `target "${long}" cannot be a backend's name`,
      'target gone.internal has no address',
    ]);
  });

  test('where the address of one target is not to be had, nothing is', async () => {
    const zone: Zone = {
      ...ADDRESSES,
      '_baton._tcp.internal/SRV': entry(1, [0, 1, 7400, 'b1.internal'], [0, 1, 7400, 'broken.internal']),
      'broken.internal/A': 'SERVFAIL',
    };
    await expect(look(SRV, zone)).rejects.toThrow('query A broken.internal: ESERVFAIL');
  });

  test('a thousand targets are asked for a few at a time', async () => {
    const names = Array.from({ length: 1000 }, (_, k) => `t${k}.internal`);
    const zone: Zone = {
      '_baton._tcp.internal/SRV': entry(1, ...names.map((name) => [0, 1, 7400, name] as const)),
      ...Object.fromEntries(names.map((name, k) => [`${name}/A`, entry(1, `10.0.${k >> 8}.${k & 255}`)])),
    };
    const resolver = new MemoryResolver(zone);
    expect((await lookUp(SRV, resolver)).members).toHaveLength(1000);
    expect(resolver.mostAtOnce).toBeGreaterThan(1);
    expect(resolver.mostAtOnce).toBeLessThanOrEqual(16);
  });
});

test('whatever comes, members are ones that a pool may have', async () => {
  const data = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string(), fc.constantFrom('::1', '0.0.0.0')));
  await fc.assert(
    fc.asyncProperty(data, data, async (four, six) => {
      const zone = { 'api.internal/A': entry(1, ...four), 'api.internal/AAAA': entry(1, ...six) };
      const { members, refused } = await look(BOTH, zone);
      const names = members.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
      expect([...names].sort()).toEqual(names);
      for (const name of names) expect(name).toMatch(/^[A-Za-z0-9._-]{1,64}$/);
      expect(members.length + refused.length).toBeLessThanOrEqual(four.length + six.length);
    }),
  );
});
