import { parseFrontConfig } from '../../src/config/load';
import { USUAL, type Question } from '../../src/front/asked-request';
import { Explainer, type Explanation } from '../../src/front/explanation';
import { configOf, FRONT } from '../config/texts';

const backend = (k: number): string =>
  `{ name: b${k}, agent: "198.18.0.2${k}:7400", via: 198.18.0.2${k}, http: "198.18.0.2${k}:80" }`;
const ROUTES = `routes:
  - { match: { host: api.example.com, path_prefix: /v1, method: [GET, POST] }, pool: web, strip_prefix: /v1,
      set_headers: { X-A: one }, remove_headers: [X-B, X-C], request_id: X-Id }
  - { match: { path: /split }, split: { pools: { web: 3, gold: 1 } } }
  - { match: { path: /keyed }, split: { pools: { web: 1, gold: 1 }, by: cookie:user } }
  - { match: { path: /moved }, redirect: { to: "https://{host}{path}" } }
  - { match: { client: 198.18.9.0/24 }, deny: {} }
  - { match: { headers: { x-tenant: gold } }, pool: gold }
`;
const TEXT = FRONT.replace(
  /pools:[^]*steering/,
  `pools:
  web: { backends: [${backend(1)}, ${backend(2)}] }
  gold: { balance: maglev, hash: "header:X-User", backends: [${backend(1)}, ${backend(2)}] }
steering`,
).replace('routes:\n  - pool: web\n', ROUTES);
const explainer = new Explainer(configOf(parseFrontConfig(TEXT, __filename)));

const explain = (asked: Partial<Question>): Explanation =>
  explainer.explain({ ...USUAL, host: 'a', ...asked }, (_pool, { name }) => ({
    candidate: name === 'b2',
    why: `of ${name}`,
  }));

test('a route that matches, those before it and why they do not, and the backends', () => {
  const { route, outcome, pools, routes, omitted } = explain({ headers: ['X-Tenant: gold', 'X-User: u'] });
  expect([route, outcome, omitted]).toEqual([5, 'goes to pool gold', 0]);
  expect(routes).toHaveLength(6);
  expect(routes[0]).toEqual({
    route: 0,
    verdict: 'does not match',
    why: 'host: is a, not api.example.com',
  });
  expect(routes[5]).toEqual({ route: 5, verdict: 'matches', why: 'all of its match holds' });
  expect(pools).toEqual([
    {
      pool: 'gold',
      balance: 'maglev by header:X-User',
      hashed: 'b2',
      backends: [
        { name: 'b1', candidate: false, why: 'of b1' },
        { name: 'b2', candidate: true, why: 'of b2' },
      ],
    },
  ]);
});

test('a header is written with a colon or an equals sign', () => {
  for (const header of ['x-tenant: gold', 'X-TENANT:gold', 'X-Tenant=gold'])
    expect(explain({ headers: [header] }).route).toBe(5);
});

test('what is edited', () => {
  const asked = { host: 'API.example.com:80', path: '/v1/x/%2e./a?q=1', headers: ['X-B: 1'] };
  const { path, outcome, edits, routes } = explain(asked);
  expect([path, outcome]).toEqual(['/v1/a', 'goes to pool web']);
  expect(edits).toEqual({ path: '/a', set: { 'X-A': 'one', 'X-Id': '(new)' }, removed: ['x-b'] });
  expect(routes.slice(1).every(({ verdict }) => verdict === 'not reached')).toBe(true);
});

test('splits, by chance and by key', () => {
  const chance = explain({ path: '/split' });
  expect([chance.outcome, chance.pools.map(({ pool }) => pool)]).toEqual([
    'goes to pool web or gold, by chance',
    ['web', 'gold'],
  ]);
  const seen = new Set(
    Array.from({ length: 30 }, (_, k) => explain({ path: '/keyed', headers: [`Cookie: user=${k}`] }).outcome),
  );
  expect(seen).toEqual(new Set(['goes to pool web, by cookie:user', 'goes to pool gold, by cookie:user']));
});

test.each<[string, Partial<Question>, string]>([
  ['a redirect', { path: '/moved' }, 'redirect: the front answers with 308 to https://a/moved'],
  ['a client', { client: '198.18.9.7' }, 'deny: the front answers with 403'],
  ['no route', {}, 'refused with 404: no route matches'],
  ['no head', { path: '/a b' }, 'refused with 400: version'],
  ['no host', { host: 'a b' }, 'refused with 400: host_invalid'],
  ['too much', { path: `/${'a'.repeat(20_000)}` }, 'refused with 431: head_too_large'],
])('%s', (_what, asked, outcome) => {
  expect(explain(asked).outcome).toBe(outcome);
});

test.each<[string, Partial<Question>, RegExp]>([
  ['two lines', { headers: ['a: b\r\nc: d'] }, /more than one line/],
  ['no address', { client: 'here' }, /not an IP address: here/],
])('a question with %s is none', (_what, asked, message) => {
  expect(() => explain(asked)).toThrow(message);
});

test('of ten thousand routes the last hundred are listed', () => {
  const many = Array.from({ length: 10_000 }, (_, k) => `  - { match: { path: /${k} }, pool: web }\n`);
  const config = configOf(
    parseFrontConfig(
      TEXT.replace(ROUTES, () => `routes:\n${many.join('')}`),
      __filename,
    ),
  );
  const explained = new Explainer(config).explain({ ...USUAL, host: 'a', path: '/5000' }, () => ({
    candidate: true,
    why: '',
  }));
  expect([explained.route, explained.routes.length, explained.omitted]).toEqual([5000, 111, 9889]);
  expect(explained.routes[0]?.route).toBe(4900);
});

describe('a listener', () => {
  const text = TEXT.replace(
    'routes:\n',
    `  - { name: echo, bind: "198.19.0.1:7", protocol: tcp }
  - { name: extra, bind: "198.19.0.1:81", protocol: http }
routes:
  - { match: { listener: extra }, deny: {} }
  - { match: { listener: echo, client: 198.18.8.0/24 }, pool: gold }
  - { match: { listener: echo, client: 198.18.7.0/24 }, deny: {} }
`,
  );
  const asked = (question: Partial<Question>): Explanation =>
    new Explainer(configOf(parseFrontConfig(text, __filename))).explain(
      { ...USUAL, host: 'a', ...question },
      () => ({ candidate: true, why: '' }),
    );

  test.each<[Partial<Question>, string]>([
    [{ listener: 'extra' }, 'deny: the front answers with 403'],
    [{ listener: 'web' }, 'refused with 404: no route matches'],
    [{}, 'refused with 404: no route matches'],
    [{ listener: 'echo', client: '198.18.8.1' }, 'goes to pool gold'],
    [{ listener: 'echo', client: '198.18.7.1' }, 'reset: the route leads to no pool'],
    [{ listener: 'echo' }, 'reset: no route matches'],
  ])('%j: %s', (question, outcome) => {
    expect(asked(question).outcome).toBe(outcome);
  });

  test('is named in what is explained, and has to be there', () => {
    expect(asked({}).request.listener).toBe('web');
    expect(asked({ listener: 'echo' })).toMatchObject({ protocol: 'tcp' });
    expect(asked({ listener: 'echo' }).routes[3]?.why).toBe('method: is "", not GET or POST');
    expect(() => asked({ listener: 'nowhere' })).toThrow('there is no listener "nowhere"');
  });
});
