import fc from 'fast-check';
import { isDnsName } from '../../src/config/discovery';
import { parseFrontConfig } from '../../src/config/load';
import { FRONT, compare, configOf } from './texts';
import type { ProblemCase } from './texts';

/** The smallest front, with discovered backends in the place of its listed one. */
const frontWith = (keys: string) =>
  FRONT.replace(/ {4}backends:\n( {6}.*\n)+/, `    backends: { ${keys} }\n`);
const poolOf = (keys: string) => configOf(parseFrontConfig(frontWith(keys), '/etc/front.yaml')).pools[0];

const BASE = frontWith('dns: api.internal, port: 7400');
const KEYS = 'dns: api.internal, port: 7400';
const NAME = 'a DNS name such as api.internal or _baton._tcp.api.internal';

const CASES: ProblemCase[] = [
  [`{ ${KEYS} }`, '¶x', 'pools.web.backends: "x" is not a list of backends or a mapping with the key "dns"'],
  [`{ ${KEYS} }`, '¶{}', 'pools.web.backends: key "dns" is missing'],
  [`{ ${KEYS} }`, '¶[]', 'pools.web.backends: the list is empty'],
  [
    `{ ${KEYS} }`,
    '[{ name: b1, agent: 198.18.0.21:7400, via: ¶direct }]',
    'pools.web.backends[0].via: "direct" is not an IP address',
  ],
  [KEYS, `${KEYS}, ¶resolvr: x`, 'unknown key "resolvr": did you mean "resolver"?'],
  [KEYS, 'dns: ¶198.18.0.21, port: 7400', `pools.web.backends.dns: "198.18.0.21" is not ${NAME}`],
  [KEYS, 'dns: ¶"a b", port: 7400', `pools.web.backends.dns: "a b" is not ${NAME}`],
  [
    KEYS,
    'dns: ¶7, port: ¶0',
    'pools.web.backends.dns: 7 is not ' + NAME,
    'pools.web.backends.port: 0 is not a whole number from 1 to 65535',
  ],
  [
    `{ ${KEYS} }`,
    '¶{ dns: api.internal }',
    'pools.web.backends: key "port" is missing: A and AAAA records have none',
  ],
  [
    KEYS,
    'dns: _baton._tcp.api.internal, port: ¶7400, weight: ¶2',
    'pools.web.backends.port: comes with each SRV record: leave it out',
    'pools.web.backends.weight: comes with each SRV record: leave it out',
  ],
  [KEYS, `${KEYS}, resolver: ¶198.18.0.53`, 'pools.web.backends.resolver: "198.18.0.53" is not ADDRESS:PORT'],
  [KEYS, `${KEYS}, min_interval: ¶99ms`, 'pools.web.backends.min_interval: is less than 100ms'],
  [
    KEYS,
    `${KEYS}, min_interval: 2m, max_interval: ¶1m`,
    'pools.web.backends.max_interval: is less than min_interval (2m)',
  ],
  [KEYS, `${KEYS}, via: ¶x`, 'pools.web.backends.via: "x" is not direct or an IP address'],
  [
    KEYS,
    `${KEYS}, via: ¶[direct, 198.18.0.1]`,
    'pools.web.backends.via: has "direct" beside others: keep one',
  ],
  [KEYS, `${KEYS}, via: [198.18.0.1, ¶198.18.0.2]`, 'pools.web.backends.via[1]: a second next hop for IPv4'],
  [
    KEYS,
    `${KEYS}, via: ¶"2001:db8::1"`,
    'pools.web.backends.via: no IPv4 next hop, which listener "web" needs',
  ],
  [
    `    backends: { ${KEYS} }`,
    `    health: { path: / }\n    backends: ¶{ ${KEYS} }`,
    'pools.web.backends: key "http_port" is missing: health needs it',
  ],
  [
    `    backends: { ${KEYS} }`,
    `    balance: maglev\n    backends: { ${KEYS}, slow_start: ¶5s }`,
    'pools.web.backends.slow_start: balance maglev has no slow start: it would move keys for a while',
  ],
];

test.each(CASES)('%j -> %j', (...problemCase) => {
  const { actual, expected } = compare(parseFrontConfig, BASE, problemCase);
  expect(expected).not.toEqual([]);
  expect(actual).toEqual(expected);
});

test('a pool of A and AAAA records, with the defaults', () => {
  expect(poolOf(KEYS)).toEqual({
    name: 'web',
    balance: 'round-robin',
    fallback: 'proxy',
    backends: [],
    discovery: {
      dns: 'api.internal',
      records: 'addresses',
      port: 7400,
      min_interval: 1000,
      max_interval: 60_000,
    },
  });
});

test('a pool of SRV records, with everything that it may have', () => {
  const keys =
    'dns: _Baton._tcp.API.internal., http_port: 8080, via: [198.18.0.1, "2001:DB8::1"], max_connections: 5, ' +
    'slow_start: 5s, resolver: "[2001:db8::53]:53", min_interval: 500ms, max_interval: 5m';
  expect(poolOf(keys)?.discovery).toEqual({
    dns: '_baton._tcp.api.internal',
    records: 'services',
    http_port: 8080,
    via: [
      { host: '198.18.0.1', family: 4 },
      { host: '2001:db8::1', family: 6 },
    ],
    max_connections: 5,
    slow_start: 5000,
    resolver: { host: '2001:db8::53', port: 53, family: 6 },
    min_interval: 500,
    max_interval: 300_000,
  });
});

test('names that DNS can be asked for', () => {
  const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,10}[a-z0-9_])?$/);
  const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => `${labels.join('.')}.x`);
  fc.assert(fc.property(name, (text) => isDnsName(text) && isDnsName(`${text}.`)));
  const long = Array.from({ length: 127 }, () => 'a').join('.');
  expect([long, `${long}.`, `${long}a`, `a${long}a`].map(isDnsName)).toEqual([true, true, false, false]);
  for (const text of ['', '.', '..', 'a..b', '-a', 'a-', '*.a', 'a/b', 'ä', '::1', '127.0.0.1', '127.0.0.1.'])
    expect([text, isDnsName(text)]).toEqual([text, false]);
});
