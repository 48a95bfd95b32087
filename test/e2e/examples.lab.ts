/**
 * The examples of config/ at work. Their addresses are the lab's; what is replaced are the pin and size of the flow table, the
 * admin socket, and the name and address of the one agent that the examples of agents have.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Cluster, type Settings } from '../../src/lab/cluster';
import type { LabProcess } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';
import { DnsServer } from '../lab/dns-server';
import { CONFIG, EXAMPLES, isAgent, readExample } from '../config/examples';
import { curl, report, runClient } from './support';

const START_MS = 60_000;
const TIMEOUT_MS = 30_000;
const BACKENDS = 3;
/** Has agent.yaml, with a server of its own beside it; the others are services by themselves. */
const WITH_UPSTREAM = 3;

/** What answers of the apps have. */
interface Served {
  readonly node: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
}

let cluster: Cluster;
let upstream: LabProcess;
/** What all agents start as; undefined for agent-app.yaml, and agent.yaml at one of them. */
let agentExample: string | undefined;

function agentSettings(k: number): Settings {
  const name = agentExample ?? (k === WITH_UPSTREAM ? 'agent.yaml' : 'agent-app.yaml');
  const text = readFileSync(join(CONFIG, name), 'utf8')
    .replaceAll('198.18.0.21', `198.18.0.${20 + k}`)
    .replaceAll(/\bb1\b/g, `b${k}`)
    .replaceAll(/\.\/(\w+\.mjs)/g, join(CONFIG, '$1'));
  return parse(text) as Settings;
}

function frontSettings(name: string, { lab, frontHost }: Cluster): Settings {
  // A change of it would need a restart.
  const steering = { interface: 'eth0', pin: lab.pin, max_flows: 65_536 };
  // Where the lab's name server is.
  const text = JSON.stringify(readExample(name)).replaceAll('198.18.0.53', frontHost.address4);
  return { ...(JSON.parse(text) as Settings), steering };
}

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(CONFIG, 'hello.mjs'),
    backends: BACKENDS,
    agent: agentSettings,
  });
  const serve = `require('node:http').createServer(({ url: path, headers }, response) => {
    response.end(JSON.stringify({ node: process.env.BATON_NODE, path, headers }));
  }).listen(8080, () => console.log('listening'))`;
  const host = cluster.lab.host(`b${WITH_UPSTREAM}`);
  upstream = host.spawn([process.execPath, '-e', serve], { env: { BATON_NODE: host.name } });
  await upstream.waitForLine('listening', START_MS);
}, START_MS);

afterAll(() => cluster.destroy());

const url = (path: string, port = 80): string => `http://${VIP4}:${port}${path}`;

/** An answer, head and all, to a request with these header fields. */
const ask = (path: string, ...fields: string[]): Promise<string> =>
  curl(cluster.client, ['-i', ...fields.flatMap((field) => ['-H', field]), url(path)]);

/** What the app of a backend answers. */
async function served(path: string, ...fields: string[]): Promise<Served> {
  const answer = await ask(path, ...fields);
  expect(answer).toMatch(/^HTTP\/1\.1 200 /);
  return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as Served;
}

/** The nodes that serve some requests, one after the other. */
async function nodesOf(paths: readonly string[], ...fields: string[]): Promise<string[]> {
  const nodes: string[] = [];
  for (const path of paths) nodes.push((await served(path, ...fields)).node);
  return nodes;
}

/** The status of each of `count` requests. */
async function statuses(target: string, count: number): Promise<string[]> {
  const requests = Array.from({ length: count }, () => ['-o', '/dev/null', target]).flat();
  // A connection for each: what is limited is connections.
  return (await curl(cluster.client, ['-H', 'Connection: close', '-w', '%{http_code}\n', ...requests]))
    .trim()
    .split('\n');
}

interface BackendStatus {
  readonly pool: string;
  readonly name: string;
  readonly state: string;
  readonly health: string;
}

async function backends(): Promise<readonly BackendStatus[]> {
  return (await cluster.frontApi<{ backends: BackendStatus[] }>('/v1/backends')).backends;
}

/** Some are in their slow start. */
const untilNoneDown = (): Promise<void> =>
  cluster.until('all backends', async () => (await backends()).every(({ state }) => state !== 'down'));

/** What each example of a front shows, asked of a front that runs it. */
const SHOWN: Readonly<Record<string, () => Promise<void>>> = {
  'front.yaml': async () => {
    const { node } = await served('/v1/users', 'Host: api.example.com', 'X-Tenant: gold');
    expect(node).toBe('b3');
    expect((await nodesOf(Array<string>(6).fill('/'))).sort()).toEqual(['b1', 'b1', 'b2', 'b2', 'b2', 'b2']);
    // All that the second route asks for but the network of the client.
    expect(await served('/v1/reports/q?format=csv', 'Cookie: tenant=gold')).not.toMatchObject({ node: 'b3' });
  },

  'routing.yaml': async () => {
    expect(await ask('/healthz')).toMatch(/^HTTP\/1\.1 200 [^]*\r\n\r\nok\n$/);
    expect(await ask('/robots.txt')).toMatch(/cache-control: max-age=3600\r\n[^]*Disallow: \/private\n$/i);
    expect(await ask('/private/x')).toMatch(/^HTTP\/1\.1 404 /);
    const moved = await ask('/a?b=c', 'Host: example.com');
    expect(moved).toMatch(/^HTTP\/1\.1 301 [^]*location: https:\/\/www\.example\.com\/a\?b=c\r\n/i);
    expect(await ask('/docs')).toMatch(/^HTTP\/1\.1 302 [^]*location: \/docs\/index\.html\r\n/i);
    const edited = await served('/api/users', 'Host: api.example.com', 'X-Tenant: gold', 'X-Debug: 1');
    expect(edited).toMatchObject({ node: 'b3', path: '/users', headers: { 'x-edge': 'front-1' } });
    expect(edited.headers?.['x-request-id']).toMatch(/^[0-9a-f]{32}$/);
    expect(edited.headers).not.toHaveProperty('x-debug');
    const user = await nodesOf(Array<string>(5).fill('/shop'), 'Cookie: session=5');
    expect(new Set(user).size).toBe(1);
    expect(['b1', 'b2']).toContain((await served('/')).node);
  },

  'matching.yaml': async () => {
    const cases: [says: string, path: string, ...fields: string[]][] = [
      ['host', '/', 'Host: API.example.com:80'],
      ['host', '/', 'Host: eu.api.example.com'],
      ['path', '/index.html'],
      ['path_prefix', '/v2/users'],
      ['path_regex', '/users/17/photo'],
      ['headers', '/v10', 'X-Tenant: gold'],
      ['headers: a pattern, and an absent one', '/', 'User-Agent: SomeBot/1.0'],
      ['query', '/?format=csv&debug'],
      ['cookie', '/', 'Cookie: lang=en; beta=; tenant=silver'],
      ['client', '/client'],
    ];
    for (const [says, path, ...fields] of cases)
      expect(await ask(path, ...fields)).toMatch(new RegExp(`^HTTP/1\\.1 200 [^]*\r\n\r\n${says}\n$`));
    expect(await ask('/console')).toMatch(/^HTTP\/1\.1 403 /);
    // What misses a route by a little is served.
    expect(await nodesOf(['/v10', '/users/x/photo', '/?format=xml&debug'])).toEqual(['b1', 'b1', 'b1']);
  },

  'balancing.yaml': async () => {
    const turns = await nodesOf(Array<string>(6).fill('/turns'));
    expect(turns.sort()).toEqual(['b1', 'b1', 'b2', 'b2', 'b2', 'b2']);
    expect(['b1', 'b2']).toContain((await served('/downloads/x')).node);
    expect(['b1', 'b2', 'b3']).toContain((await served('/api')).node);
    for (const nodes of [
      await nodesOf(Array<string>(4).fill('/files/one')),
      await nodesOf(['/a', '/b', '/c', '/d'], 'Cookie: session=5'),
    ])
      expect(new Set(nodes).size).toBe(1);
    const users = [];
    for (let user = 0; user < 12; user++) users.push((await served('/', `Cookie: session=${user}`)).node);
    expect(new Set(users).size).toBeGreaterThan(1);
    const cart = await ask('/cart');
    const [, home = ''] = /^set-cookie: at=(b[12]);/im.exec(cart) ?? [];
    expect(new Set(await nodesOf(Array<string>(4).fill('/cart'), `Cookie: at=${home}`))).toEqual(
      new Set([home]),
    );
    const twice = ['-o', '/dev/null', '-o', '/dev/null', '-w', '%{num_connects} '];
    expect(await curl(cluster.client, [...twice, url('/a'), url('/b')])).toBe('1 0 ');
    expect(await curl(cluster.client, [...twice, url('/a', 81), url('/b', 81)])).toBe('1 0 ');
  },

  'health.yaml': async () => {
    const health = async (): Promise<string[]> =>
      (await backends()).map(({ pool, name, health }) => `${pool} ${name} ${health}`).sort();
    const all = ['quick b1 up', 'quick b2 up', 'strict b3 up', 'unchecked b1 not checked'];
    expect(await health()).toEqual(all);
    cluster.agents[1]?.kill('SIGSTOP');
    await cluster.until('b2 down', async () => (await health()).includes('quick b2 down'));
    expect(await nodesOf(Array<string>(4).fill('/quick'))).toEqual(['b1', 'b1', 'b1', 'b1']);
    cluster.agents[1]?.kill('SIGCONT');
    await cluster.until('b2 up', async () => (await health()).includes('quick b2 up'));
    expect((await served('/unchecked')).node).toBe('b1');
  },

  'front-dns.yaml': async () => {
    const { frontHost, lab } = cluster;
    const server = await DnsServer.start(frontHost.address4, 53, (argv, options) =>
      frontHost.spawn(argv, options),
    );
    const address = (k: number): string => lab.host(`b${k}`).address4;
    await server.set({
      'web.internal/A': { ttl: 1, data: [address(1), address(2)] },
      '_baton._tcp.api.internal/SRV': { ttl: 1, data: [[0, 1, 7400, 'b3.internal']] },
      'b3.internal/A': { ttl: 1, data: [address(3)] },
    });
    const known = async (): Promise<string[]> => (await backends()).map(({ name }) => name).sort();
    await cluster.until('all that DNS knows', async () => (await known()).length === 3);
    expect(await known()).toEqual([address(1), address(2), 'b3.internal']);
    await untilNoneDown();
    expect((await nodesOf(Array<string>(4).fill('/'))).sort()).toEqual(['b1', 'b1', 'b2', 'b2']);
    expect((await served('/v1')).node).toBe('b3');
  },

  'limits.yaml': async () => {
    expect(new Set(await statuses(url('/', 81), 40))).toEqual(new Set(['200', '429']));
    expect(new Set(await statuses(url('/'), 40))).toEqual(new Set(['200']));
    expect(await ask('/', `X-Long: ${'x'.repeat(9_000)}`)).toMatch(/^HTTP\/1\.1 431 /);
    expect(await cluster.frontApi('/v1/status')).toMatchObject({ workers: 2 });
  },

  'tcp.yaml': async () => {
    const { client } = cluster;
    const options = { address: VIP4, port: 7, greeted: true, lines: ['one', '/name me', 'two'] };
    const [talk] = await runClient<{ heard: string[] }[]>(client, 'talk.mjs', options);
    const [greeting, ...lines] = talk?.heard ?? [];
    expect(greeting).toMatch(/^echo at b[12], hello 198\.18\./);
    expect(lines).toEqual([`1 ${client.address4} one`, '2 me /name me', '3 me two']);
    const said = await runClient<string[]>(client, 'chat.mjs', {
      address: VIP4,
      texts: ['a', '/nick me', 'b'],
    });
    expect(said[0]).toMatch(/^welcome to b[12], guest-\d+$/);
    expect(said.slice(1)).toEqual([said[0]?.replace(/.*, (.*)/, '$1 (1): a'), 'you are me', 'me (2): b']);
    expect(await cluster.frontMetric('baton_connections_accepted_total', { listener: 'echo' })).toBe(1);
  },

  'secure.yaml': async () => {
    expect(await cluster.frontPost('/v1/reload')).toMatchObject({ status: 200 });
    expect(new Set(await nodesOf(Array<string>(3).fill('/')))).toEqual(new Set(['b1', 'b2', 'b3']));
    expect((await served('/checked')).node).toBe('b1');
    expect(await cluster.frontMetric('baton_certificate_expiry_timestamp_seconds')).toBeGreaterThan(0);
    const logged = await cluster.lab.host('b1').run(['test', '-f', join(cluster.lab.dir, 'access.log')]);
    expect(logged.code).toBe(0);
    const unproven = [`http://198.18.0.21:9181/metrics`, '-o', '/dev/null', '-w', '%{http_code}'];
    expect(await curl(cluster.client, unproven)).toBe('401');
  },
};

/** What needs a start of its own, for its control channels, its admin socket or its agents, and what those are. */
const RESTARTED: Readonly<Record<string, string>> = {
  'tcp.yaml': 'agent-tcp.yaml',
  'secure.yaml': 'agent-secure.yaml',
};

test('every example of a front is here', () => {
  expect(Object.keys(SHOWN).sort()).toEqual(EXAMPLES.filter((name) => !isAgent(name)));
});

test.each(Object.keys(SHOWN).filter((name) => !(name in RESTARTED)))(
  '%s is loaded and does what it says',
  async (name) => {
    const before = await cluster.frontMetric('baton_handoffs_total', { result: 'ok' });
    cluster.writeFrontConfig(frontSettings(name, cluster));
    expect(await cluster.frontPost('/v1/reload')).toEqual({ status: 200, body: { status: 'reloaded' } });
    await untilNoneDown();
    await SHOWN[name]?.();
    const handedOff = (await cluster.frontMetric('baton_handoffs_total', { result: 'ok' })) - before;
    report(`${name}: ${handedOff} connections handed off`);
    expect(handedOff).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test.each(Object.entries(RESTARTED))(
  '%s is started, with the agents of %s, and does what it says',
  async (name, agents) => {
    agentExample = agents;
    await Promise.all([upstream, cluster.front, ...cluster.agents].map((program) => program.stop()));
    const settings = frontSettings(name, cluster);
    if (settings.admin === undefined) {
      cluster.writeFrontConfig(settings);
    } else {
      await cluster.makeCertificates(cluster.tlsDir, ['--front', 'front-1', ...certificatesOf(cluster)]);
      const listen = `unix:${join(cluster.lab.dir, 'front.sock')}`;
      cluster.writeFrontConfig({ ...settings, admin: { ...(settings.admin as Settings), listen } });
      await startHttps();
    }
    const started = cluster.lab.backends.map((_, index) => cluster.startAgent(index + 1));
    await Promise.all([...started, cluster.startFront()]);
    await untilNoneDown();
    await SHOWN[name]?.();
  },
  START_MS,
);

/** What secure.yaml checks b1 by. */
async function startHttps(): Promise<void> {
  const { cert, key } = cluster.tlsFiles('b1');
  const serve = `const { readFileSync } = require('node:fs');
  const files = { cert: readFileSync('${cert}'), key: readFileSync('${key}') };
  require('node:https').createServer(files, (_, response) => response.end('ok'))
    .listen(8443, () => console.log('listening'))`;
  const https = cluster.lab.host('b1').spawn([process.execPath, '-e', serve]);
  await https.waitForLine('listening', START_MS);
}

function certificatesOf({ lab }: Cluster): string[] {
  return lab.backends.flatMap(({ name }) => ['--agent', name]);
}
