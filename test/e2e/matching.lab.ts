/** What routes match by, with the real programs: the first request of a connection is handed over, pipelined ones are relayed. */
import { Cluster } from '../../src/lab/cluster';
import { APP, countsOf, curl } from './support';

const TIMEOUT_MS = 60_000;

let cluster: Cluster;
/** IPv4 addresses of the client: a route knows the second one, and its IPv6 address. */
let [first, second] = ['', ''];

beforeAll(async () => {
  cluster = await Cluster.start({
    app: APP,
    backends: 2,
    clientAddresses: 2,
    front: (of) => {
      const [, other = ''] = of.client.addresses4;
      const keys = [
        {
          path_regex: '/who|/v[0-9]+/.*',
          query: { format: { regex: 'csv|json' }, debug: { present: false } },
        },
        { cookie: { tenant: 'gold' } },
        { headers: { 'x-tenant': { regex: '(?i)gold' } } },
        { client: [`${other}/32`, of.client.address6] },
        { not: { host: [of.lab.vip4, of.lab.vip6] } },
      ];
      return {
        routes: [...keys.map((match) => ({ match, pool: 'gold' })), { pool: 'web' }],
        pools: { web: { backends: [of.backend(1)] }, gold: { backends: [of.backend(2)] } },
      };
    },
  });
  [first = '', second = ''] = cluster.client.addresses4;
}, TIMEOUT_MS);

afterAll(() => cluster.destroy());

const WEB = 'b1';
const GOLD = 'b2';

test.each<[string, string, readonly string[]]>([
  [WEB, '/who', []],
  [GOLD, '/who?format=csv', []],
  [GOLD, '/x/../%77ho?a&form%61t=j%73on', []],
  [WEB, '/who?format=csv&debug', []],
  [WEB, '/who?format=csv2', []],
  [GOLD, '/who', ['-H', 'Cookie: a=b; tenant=gold']],
  [GOLD, '/who', ['-H', 'Cookie: a=b', '-H', 'cookie: tenant=gold']],
  [WEB, '/who', ['-H', 'Cookie: Tenant=gold']],
  [GOLD, '/who', ['-H', 'X-Tenant: GOLD']],
  [WEB, '/who', ['-H', 'X-Tenant: golden']],
  [GOLD, '/who', ['-H', 'Host: another.example']],
])('%s gets %s with %j, by a handoff', async (node, target, args) => {
  const handedOff = () => cluster.frontMetric('baton_handoffs_total', { backend: node, result: 'ok' });
  const before = [await handedOff(), await cluster.frontMetric('baton_fallbacks_total')];
  await curl(cluster.client, [
    ...['--path-as-is', '--interface', first, ...args],
    `http://${cluster.lab.vip4}${target}`,
  ]);
  expect([(await handedOff()) - 1, await cluster.frontMetric('baton_fallbacks_total')]).toEqual(before);
});

test('a client is told by its address, of either family', async () => {
  const { client, lab } = cluster;
  const from = async (address: string, vip: string) =>
    JSON.parse(await curl(client, ['--interface', address, `http://${vip}/who`])) as unknown;
  expect(await from(first, lab.vip4)).toMatchObject({ node: WEB, client: first });
  expect(await from(second, lab.vip4)).toMatchObject({ node: GOLD, client: second });
  expect(await from(client.address6, `[${lab.vip6}]`)).toMatchObject({ node: GOLD, client: client.address6 });
});

test('later requests are matched by the same rules, also those that are there with the first', async () => {
  const before = await countsOf(cluster);
  const targets = ['/who', '/who?format=json', '/who?format=json&debug=1', '/who?format=c%73v'];
  const requests = targets.map(
    (target, index) =>
      `GET ${target} HTTP/1.1\\r\\nHost: ${cluster.lab.vip4}\\r\\n` +
      `${index === targets.length - 1 ? 'Connection: close\\r\\n' : ''}\\r\\n`,
  );
  // In one write: bash makes one of each line.
  const script = `exec 3<>/dev/tcp/${cluster.lab.vip4}/80; printf '%b' "$1" | dd obs=64k status=none >&3; cat <&3`;
  const { stdout } = await cluster.client.run(['bash', '-c', script, 'bash', requests.join('')], {
    timeoutMs: 10_000,
  });
  expect([...stdout.matchAll(/"node":"(b\d)"/g)].map(([, node]) => node)).toEqual([WEB, GOLD, WEB, GOLD]);
  const { fallbacks, handedOff } = await countsOf(cluster);
  expect({ fallbacks, handedOff }).toEqual({ fallbacks: before.fallbacks, handedOff: before.handedOff + 1 });
});
