import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { parseAgentConfig, parseAgentConfigObject, parseFrontConfig } from '../../src/config/load';
import { OUTLIERS } from '../health/configs';
import { Certificates } from '../wire/certificates';
import { AGENT, FRONT, configOf } from './texts';

const front = (text: string) => configOf(parseFrontConfig(text, '/etc/baton/front.yaml'));

test('a front with nothing but the necessary gets the documented defaults', () => {
  expect(front(FRONT)).toEqual({
    kind: 'front',
    node: 'front-1',
    listeners: [
      {
        name: 'web',
        bind: { host: '198.19.0.1', port: 80, family: 4 },
        protocol: 'http',
        routing: 'per-request',
      },
    ],
    routes: [{ pool: 'web' }],
    pools: [
      {
        name: 'web',
        balance: 'round-robin',
        fallback: 'proxy',
        backends: [
          {
            name: 'b1',
            agent: { host: '198.18.0.21', port: 7400, family: 4 },
            via: [{ host: '198.18.0.21', family: 4 }],
            weight: 1,
          },
        ],
      },
    ],
    steering: { interface: 'eth0', pin: '/sys/fs/bpf/baton', max_flows: 1_048_576 },
    control: { insecure: true },
    admin: { listen: { host: '127.0.0.1', port: 9180, family: 4 } },
    timeouts: { head: 10_000, prepare: 1000, backend_gone: 10_000, idle_flow: 3_600_000, linger: 30_000 },
    limits: { head_bytes: 16_384, connections: 100_000 },
    workers: 1,
  });
});

test('a match becomes lists, with hosts and header names in lower case', () => {
  const match =
    '{ host: "*.Example.COM", path: [/a, /b], path_prefix: /v1, method: GET, headers: { X-Tenant: Gold } }';
  const [route] = front(FRONT.replace('pool: web', `pool: web\n    match: ${match}`)).routes;
  expect(route).toEqual({
    match: {
      host: ['*.example.com'],
      path: ['/a', '/b'],
      path_prefix: ['/v1'],
      method: ['GET'],
      headers: { 'x-tenant': 'Gold' },
    },
    pool: 'web',
  });
});

test('names of parameters and cookies, and patterns, stay as they are written; networks have one spelling', () => {
  const keys = `path_regex: "/A/.*", query: { "Ä b": { regex: X }, q: "" }, cookie: { SID: { present: false } },
      headers: { X-A: { regex: B }, X-B: { present: true } }, client: [10.0.0.1/32, "2001:DB8:0::/32", "::ffff:10.0.0.0/104"]`;
  const [route] = front(
    FRONT.replace('pool: web', `pool: web\n    match: { ${keys}, not: { host: A, ${keys} } }`),
  ).routes;
  const match = {
    path_regex: ['/A/.*'],
    query: { 'Ä b': { regex: 'X' }, q: '' },
    cookie: { SID: { present: false } },
    headers: { 'x-a': { regex: 'B' }, 'x-b': { present: true } },
    client: ['10.0.0.1', '2001:db8::/32', '10.0.0.0/8'],
  };
  expect(route).toEqual({ match: { ...match, not: { ...match, host: ['a'] } }, pool: 'web' });
});

test('later requests may be left to the backend of the first', () => {
  const text = FRONT.replace('protocol: http', 'protocol: http\n    routing: per-connection');
  expect(front(text).listeners).toMatchObject([{ routing: 'per-connection' }]);
});

test('an empty match is no match', () => {
  expect(front(FRONT.replace('pool: web', 'pool: web\n    match: {}')).routes).toEqual([{ pool: 'web' }]);
});

test('health, http and weight of a pool', () => {
  const text = FRONT.replace(
    '    backends',
    '    health: { path: /healthz, timeout: 500ms }\n    backends',
  ).replace(
    'via: 198.18.0.21',
    'via: [198.18.0.21, "2001:DB8::21"]\n        http: "[2001:db8::21]:8080"\n        weight: 0',
  );
  const [pool] = front(text).pools;
  expect(pool?.health).toEqual({
    path: '/healthz',
    expect: [{ first: 200, last: 399 }],
    headers: {},
    interval: 2000,
    jitter: 0.1,
    timeout: 500,
    rise: 2,
    fall: 3,
  });
  expect(pool?.outliers).toBeUndefined();
  expect(pool?.backends[0]).toMatchObject({
    via: [
      { host: '198.18.0.21', family: 4 },
      { host: '2001:db8::21', family: 6 },
    ],
    http: { host: '2001:db8::21', port: 8080, family: 6 },
    weight: 0,
  });
});

describe('of health checks', () => {
  const certificates = new Certificates();
  certificates.make('ca', { isAuthority: true });
  afterAll(() => certificates.remove());

  const health = (keys: string) => {
    const text = FRONT.replace('    backends', `    health: { path: /, ${keys} }\n    backends`);
    const file = certificates.file('front.yaml');
    const withHttp = text.replace('via: 198.18.0.21', 'via: 198.18.0.21\n        http: 198.18.0.21:8080');
    return configOf(parseFrontConfig(withHttp, file)).pools[0]?.health;
  };

  test.each([
    ['204', [[204, 204]]],
    ['"204"', [[204, 204]]],
    ['200-299', [[200, 299]]],
    [
      '[200, 301-302, 404]',
      [
        [200, 200],
        [301, 302],
        [404, 404],
      ],
    ],
  ])('expect: %s', (written, ranges) => {
    expect(health(`expect: ${written}`)?.expect).toEqual(ranges.map(([first, last]) => ({ first, last })));
  });

  test('headers, port and jitter', () => {
    expect(health('headers: { Host: App.Example, X-a: "1" }, port: 8081, jitter: 0.5')).toMatchObject({
      headers: { host: 'App.Example', 'x-a': '1' },
      port: 8081,
      jitter: 0.5,
    });
  });

  test('tls is off, or on with the authorities that the file holds', () => {
    expect(health('port: 1')).not.toHaveProperty('tls');
    expect(health('tls: {}')?.tls).toEqual({ insecure: false });
    expect(health('tls: { insecure: true, server_name: app.example }')?.tls).toEqual({
      insecure: true,
      server_name: 'app.example',
    });
    expect(health('tls: { ca: ca.pem }')?.tls).toEqual({ insecure: false, ca: certificates.text('ca.pem') });
  });
});

test('outliers of a pool', () => {
  const outliers = (keys: string) =>
    front(FRONT.replace('    backends', `    outliers: { ${keys} }\n    backends`)).pools[0]?.outliers;
  expect(outliers('')).toEqual(OUTLIERS);
  expect(outliers('window: 1s, latency: 250ms, eject: 1m, max_eject: 1m, errors: 0.05')).toMatchObject({
    window: 1000,
    latency: 250,
    eject: 60_000,
    max_eject: 60_000,
    errors: 0.05,
  });
});

test('workers, a relative pin and a free admin port', () => {
  const config = front(
    `${FRONT.replace('eth0', 'eth0, pin: flows')}workers: auto\nadmin: { listen: "[::1]:0" }\n`,
  );
  expect(config.workers).toBe(availableParallelism());
  expect(config.steering.pin).toBe('/etc/baton/flows');
  expect(config.admin.listen).toEqual({ host: '::1', port: 0, family: 6 });
});

test('an agent with nothing but the necessary gets the documented defaults', () => {
  expect(configOf(parseAgentConfig(AGENT, 'agent.yaml'))).toEqual({
    kind: 'agent',
    node: 'b1',
    control: { insecure: true, listen: { host: '198.18.0.21', port: 7400, family: 4 } },
    vips: [{ host: '198.19.0.1', family: 4 }],
    manage_vips: false,
    serve: { http: { kind: 'upstream', upstream: 'http://127.0.0.1:8080' } },
    admin: { listen: { host: '127.0.0.1', port: 9181, family: 4 } },
  });
});

test('an app is found from its configuration', () => {
  const text = AGENT.replace(/serve.*/, 'serve: { app: ./texts.ts, listen: 198.18.0.21:8080 }');
  expect(configOf(parseAgentConfig(text, __filename)).serve).toEqual({
    http: {
      kind: 'app',
      app: join(dirname(__filename), 'texts.ts'),
      listen: { host: '198.18.0.21', port: 8080, family: 4 },
    },
  });
});

test('an application for connections without a head stands alone, or beside one of the others', () => {
  const tcp = join(dirname(__filename), 'texts.ts');
  const serveOf = (serve: string) =>
    configOf(parseAgentConfig(AGENT.replace(/serve.*/, `serve: ${serve}`), __filename)).serve;
  expect(serveOf('{ tcp: ./texts.ts }')).toEqual({ tcp });
  expect(serveOf('{ tcp: texts.ts, upstream: "http://h" }')).toEqual({
    tcp,
    http: { kind: 'upstream', upstream: 'http://h' },
  });
});

test('listeners of a match are a list', () => {
  const routes = 'match: { listener: web, not: { listener: [web2, web3] } }\n    pool: web';
  const text = FRONT.replace('pool: web', routes).replace(
    'routes:',
    '  - { name: web2, bind: 198.19.0.1:81, protocol: tcp }\n  - { name: web3, bind: 198.19.0.1:82, protocol: tcp }\nroutes:\n  - { match: { listener: [web2, web3] }, pool: web }',
  );
  const [first, second] = front(text).routes;
  expect(first?.match).toEqual({ listener: ['web2', 'web3'] });
  expect(second?.match).toEqual({ listener: ['web'], not: { listener: ['web2', 'web3'] } });
});

test('an access log goes to standard output, all of it, or as it is said', () => {
  const logOf = (text: string) =>
    configOf(parseAgentConfig(`${AGENT}access_log: ${text}\n`, __filename)).access_log;
  expect(logOf('{}')).toEqual({ sample: 1, errors: true });
  expect(logOf('{ to: stdout, sample: 0, errors: false }')).toEqual({ sample: 0, errors: false });
  expect(logOf('{ to: { file: a.log }, sample: 0.01 }')).toEqual({
    file: join(dirname(__filename), 'a.log'),
    sample: 0.01,
    errors: true,
  });
});

test('a route may have a name', () => {
  const text = FRONT.replace('- pool: web', '- { name: all, pool: web }');
  expect(front(text).routes).toEqual([{ name: 'all', pool: 'web' }]);
});

test('a VIP stands alone or with a port', () => {
  const text = AGENT.replace(
    '[198.19.0.1]',
    '[198.19.0.1, 198.19.0.2:80, "2001:DB8::1", "[2001:db8::2]:443"]',
  );
  expect(configOf(parseAgentConfig(text, __filename)).vips).toEqual([
    { host: '198.19.0.1', family: 4 },
    { host: '198.19.0.2', family: 4, port: 80 },
    { host: '2001:db8::1', family: 6 },
    { host: '2001:db8::2', family: 6, port: 443 },
  ]);
});

test('an upstream is reduced to its origin', () => {
  const text = AGENT.replace('http://127.0.0.1:8080', 'HTTP://LocalHost:8080/');
  expect(configOf(parseAgentConfig(text, __filename)).serve).toEqual({
    http: { kind: 'upstream', upstream: 'http://localhost:8080' },
  });
});

test('an attached agent has neither serve nor admin, and leaves its object alone', () => {
  const value = Object.freeze({
    node: 'b1',
    control: Object.freeze({ listen: '198.18.0.21:7400', insecure: true }),
    vips: ['198.19.0.1'],
  });
  expect(configOf(parseAgentConfigObject(value))).toEqual({
    kind: 'agent',
    node: 'b1',
    control: { insecure: true, listen: { host: '198.18.0.21', port: 7400, family: 4 } },
    vips: [{ host: '198.19.0.1', family: 4 }],
    manage_vips: false,
  });
  expect(Object.keys(value)).toEqual(['node', 'control', 'vips']);
});
