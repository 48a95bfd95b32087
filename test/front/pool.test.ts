import type { PoolConfig } from '../../src/config/model';
import { Backend } from '../../src/front/backend';
import type { Offers } from '../../src/front/offers';
import { Pool } from '../../src/front/pool';

const CONFIG: PoolConfig = { name: 'web', balance: 'round-robin', fallback: 'proxy', backends: [] };

const HOP = { address: Buffer.alloc(16), ifindex: 2 };
const TAKES = { takes: true, warmingMs: 0 };

const originOf = (k: number): string => `http://198.18.0.${k}:8080`;

/** Backends 1, 2 and so on; all that a relay asks of offers is whether their agent answers. */
function poolOf(...answers: readonly boolean[]): Pool {
  const backends = answers.map((each, index) => {
    const http = { host: `198.18.0.${index + 1}`, port: 8080, family: 4 } as const;
    const options = { name: `b${index + 1}`, weight: 1, number: index, hops: { 4: HOP }, http };
    return new Backend(options, { answers: each } as unknown as Offers, TAKES);
  });
  return new Pool(CONFIG, backends);
}

function picked(pool: Pool, times: number, tried: readonly string[] = []): Set<string | undefined> {
  return new Set(Array.from({ length: times }, () => pool.pickOrigin('', tried)));
}

test('a request is relayed to a backend whose agent answers', () => {
  expect(picked(poolOf(true, false, true), 10)).toEqual(new Set([originOf(1), originOf(3)]));
});

test('where no agent answers, the origins may still be up', () => {
  expect(picked(poolOf(false, false), 10)).toEqual(new Set([originOf(1), originOf(2)]));
});

test('what was tried is not asked again, and others are before nobody is', () => {
  const pool = poolOf(true, false, true);
  expect(picked(pool, 10, [originOf(1)])).toEqual(new Set([originOf(3)]));
  expect(picked(pool, 10, [originOf(1), originOf(3)])).toEqual(new Set([originOf(2)]));
  expect(picked(pool, 10, [1, 2, 3].map(originOf))).toEqual(new Set([undefined]));
});

test('an unhealthy backend gets nothing, and a pool that refuses relays nothing', () => {
  const pool = poolOf(true, true);
  const [first] = pool.backends;
  if (first !== undefined) first.takes = false;
  expect(picked(pool, 10)).toEqual(new Set([originOf(2)]));
  expect(new Pool({ ...CONFIG, fallback: 'refuse' }, pool.backends).pickOrigin('', [])).toBeUndefined();
});

test('a pool that hashes relays a request to the backend that would get its connection', () => {
  const { backends } = poolOf(true, true, true, true);
  for (const backend of backends) Object.assign(backend.offers, { open: true });
  const pool = new Pool({ ...CONFIG, balance: 'maglev', hash: 'header:x-user' }, backends);
  const names = new Set<string>();
  for (let user = 0; user < 40; user++) {
    const head = { path: '/', header: () => `user-${user}` };
    const key = pool.keyOf(head, { client: Buffer.alloc(16) });
    const backend = pool.pick(4, key, []);
    expect(pool.pickOrigin(key, [])).toBe(`http://${backend?.http?.host ?? ''}:8080`);
    names.add(backend?.name ?? '');
  }
  expect(names.size).toBe(4);
});

test('maglev hashes the client where nothing else is said, and the other policies nothing', () => {
  const head = { path: '/', header: () => undefined };
  const client = Buffer.from('00000000000000000000ffffc6120101', 'hex');
  expect(new Pool({ ...CONFIG, balance: 'maglev' }, []).keyOf(head, { client })).toBe(
    client.toString('latin1'),
  );
  expect(new Pool(CONFIG, []).keyOf(head, { client })).toBe('');
});

test('a handoff goes where there is a next hop of its family', () => {
  const reached = { 4: [1, 2], 6: [2, 3] } as const;
  const backends = [1, 2, 3, 4].map((k) => {
    const hops = {
      ...((reached[4] as readonly number[]).includes(k) && { 4: HOP }),
      ...((reached[6] as readonly number[]).includes(k) && { 6: HOP }),
    };
    const offers = { open: true, answers: true } as unknown as Offers;
    return new Backend({ name: `b${k}`, weight: 1, number: k, hops }, offers, TAKES);
  });
  const pool = new Pool(CONFIG, backends);
  for (const family of [4, 6] as const) {
    const names = Array.from({ length: 10 }, () => pool.pick(family, '', [])?.name);
    expect(new Set(names)).toEqual(new Set(reached[family].map((k) => `b${k}`)));
  }
  expect(new Pool(CONFIG, backends.slice(3)).pick(4, '', [])).toBeUndefined();
});
