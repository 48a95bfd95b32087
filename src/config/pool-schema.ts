import { Type } from '@sinclair/typebox';
import { HEADER_NAME } from './actions';
import { DIRECT } from './discovery';
import {
  HASH_KEY,
  TOKEN,
  address,
  choice,
  dnsName,
  duration,
  endpoint,
  file,
  integer,
  listOrMapping,
  mapOf,
  mapping,
  name,
  oneOrMore,
  share,
  statuses,
  text,
} from './fields';

/** Pools: their backends, how one is picked, and what keeps one from being picked. */

const CHECK_HEADER_VALUE = text('Field value.', 'a header value of visible ASCII', {
  pattern: '^[!-~]([ -~]*[!-~])?$',
});

const HEALTH_TLS = mapping('Checks by https.', {
  ca: Type.Optional(
    file('File with the certificates of the authorities to trust; those that Node trusts, without it.'),
  ),
  server_name: Type.Optional(
    text('Name that the certificate has to have, and that SNI asks for; the address, without it.', 'a host', {
      format: 'server-name',
    }),
  ),
  insecure: Type.Optional(
    Type.Literal(true, {
      description: 'Take any certificate: a check then says that somebody answers, and not who.',
      expected: 'true',
    }),
  ),
});

const HEALTH = mapping('Active health checks of every backend, by HTTP to its `http` address.', {
  path: text('Path to request, query allowed.', 'a path that starts with "/"', {
    pattern: '^/[^\\s#]*$',
  }),
  expect: statuses('Statuses of a success, redirects not followed; one or a list, any of it.', '200-399'),
  headers: Type.Optional(
    mapOf('Header fields to send; a `Host` in place of the address.', HEADER_NAME, CHECK_HEADER_VALUE),
  ),
  port: Type.Optional(integer('Port to ask, in place of the one of `http`.', 1, 65_535)),
  tls: Type.Optional(HEALTH_TLS),
  interval: duration('Time between two checks of a backend.', '2s'),
  jitter: share(
    'Share of the interval by which checks move at random, so that those of many fronts do not fall into step.',
    0,
    0.5,
    0.1,
  ),
  timeout: duration('Time that a check may take.', '1s'),
  rise: integer('Successes in a row that bring a backend up.', 1, 100, 2),
  fall: integer('Failures in a row that take a backend down.', 1, 100, 3),
});

const OUTLIERS = mapping(
  'Backends whose connections go wrong are ejected: they get no more of them for a while.',
  {
    window: duration('Time that errors and latency are looked at over; agents report every second.', '10s'),
    min_responses: integer('Fewer responses in the window say nothing.', 1, 1_000_000, 20),
    errors: share('Share of 5xx among the responses in the window that ejects.', 0.001, 1, 0.5),
    latency: Type.Optional(
      duration(
        'Mean time from request to end of response, in the window, beyond which a backend is ejected.',
      ),
    ),
    failures: integer(
      'Handoffs in a row that a backend rejects, does not answer or loses with its channel, which eject it.',
      1,
      1000,
      5,
    ),
    eject: duration('How long the first ejection lasts; the second lasts twice as long, and so on.', '10s'),
    max_eject: duration(
      'How long an ejection lasts at most; so much time without one makes the next one shorter by a step.',
      '5m',
    ),
    max_share: share(
      "Share of a pool's backends that are ejected at once, at most, of those that could take connections; one always stays.",
      0.01,
      1,
      0.5,
    ),
  },
);

/** What listed backends and discovered ones have in common. */
const LIMITS_OF_BACKEND = {
  max_connections: Type.Optional(
    integer(
      'Connections of its agent, from all fronts, with which it gets no more from this pool; the count is a moment old, so a few more may slip in.',
      1,
      1_048_576,
    ),
  ),
  slow_start: Type.Optional(
    duration('Time in which its share grows from a twentieth to all of it, after it was away or is new.'),
  ),
};

const BACKEND = mapping('One agent and the way to it.', {
  name: name('Name of the backend, a label in metrics; an agent has the same name in every pool.'),
  agent: endpoint("The agent's control address."),
  via: oneOrMore(
    'On-link next hop that leads to the backend; a list of one per family where the VIPs are of both.',
    address('Next hop.'),
  ),
  http: Type.Optional(endpoint('Where health checks and the proxy fallback connect.')),
  weight: integer('Share of connections, relative to the other backends; 0 takes none.', 0, 1000, 1),
  ...LIMITS_OF_BACKEND,
});

const DISCOVERY = mapping('Backends that DNS knows: as many as it answers with, up to 1024.', {
  dns: dnsName(
    'What DNS is asked for, as it stands. Each address of its A and AAAA records, of families that have listeners, is a backend, named by it with "-" for ":"; a name that begins with "_" has SRV records, each target a backend of its name. With control.tls an agent needs a certificate of that name.',
  ),
  port: Type.Optional(
    integer("The agents' control port; only for A and AAAA records, SRV records have their own.", 1, 65_535),
  ),
  http_port: Type.Optional(
    integer('Port of the backends where health checks and the proxy fallback connect.', 1, 65_535),
  ),
  via: oneOrMore(
    "On-link next hop that leads to the backends, as for a listed one; `direct` is each backend's own address.",
    text('Next hop.', `${DIRECT} or an IP address`, { format: 'discovered-via' }),
    { default: DIRECT },
  ),
  weight: Type.Optional(
    integer('Weight of each backend, 1 without it; only for A and AAAA records.', 0, 1000),
  ),
  ...LIMITS_OF_BACKEND,
  resolver: Type.Optional(
    endpoint("Server that is asked; without it those of the system's /etc/resolv.conf."),
  ),
  min_interval: duration('Time between two questions at least, however short the TTL of the answer.', '1s'),
  max_interval: duration('Time between two questions at most, however long the TTL of the answer.', '60s'),
});

export const POOL = mapping('Backends that serve the same thing.', {
  balance: choice(
    'How the next backend is picked: in turn, the one with the fewest connections, the better of two that chance picks, or by the hash of a key; always by weight.',
    ['round-robin', 'least-connections', 'random-two', 'maglev'],
    { default: 'round-robin' },
  ),
  hash: Type.Optional(
    text(
      'What `maglev` takes for the key, so that the same goes to the same backend; the client (its address) without it, and where a request has no such header or cookie.',
      'client, header:NAME, cookie:NAME or path',
      { pattern: HASH_KEY },
    ),
  ),
  sticky: Type.Optional(
    text(
      'Cookie that names the backend of a session, cookie:NAME: it goes there as long as it can, else by `balance`. The application sets it, or the agent (`sticky_cookie`).',
      'cookie:NAME',
      { pattern: `^cookie:${TOKEN}$` },
    ),
  ),
  health: Type.Optional(HEALTH),
  outliers: Type.Optional(OUTLIERS),
  // No `default` here: only a fallback that is asked for by name makes `http` mandatory.
  fallback: Type.Optional(
    choice(
      'What happens when no handoff is possible: `proxy` relays through the front, `refuse` closes. Without it: proxy, as far as the backends have `http`. A tcp connection is reset in any case.',
      ['proxy', 'refuse'],
    ),
  ),
  backends: listOrMapping(
    'The backends of the pool, or how they are discovered.',
    'a list of backends or a mapping with the key "dns"',
    BACKEND,
    DISCOVERY,
  ),
});
