import { Type } from '@sinclair/typebox';
import type { Static } from '@sinclair/typebox';
import { ACCESS_LOG } from './access-log';
import { ACTIONS, EDITS } from './actions';
import {
  TOKEN,
  adminKeys,
  choice,
  duration,
  endpoint,
  file,
  integer,
  listOf,
  mapOf,
  mapping,
  name,
  settings,
  text,
  vip,
} from './fields';
import { MATCH } from './match-schema';
import { POOL } from './pool-schema';

/** The YAML spelling of both kinds of configuration: one source for types, validation and the reference page. */

/** More than the cores of most hosts: a larger number is more likely a mistake than a wish. */
export const MAX_WORKERS = 64;

/** A head meets few of them however many there are; but ten thousand take a second to load, and memory in every worker. */
export const MAX_ROUTES = 16_384;

const NODE = name('Name of this node in logs, metrics and towards its peers.');

const INSECURE = Type.Literal(true, {
  description:
    'Speak plain TCP to the peers. Whoever reaches the port can inject connections: trusted networks only.',
  expected: 'true',
});

const TLS_FILES = {
  ca: file('File with the certificates of the authorities that sign the peers.'),
  cert: file('File with the certificate of this node.'),
  key: file('File with the private key of this node.'),
};

const LISTENER = mapping('One VIP address and port.', {
  name: name('Name of the listener, a label in metrics.'),
  bind: endpoint('The VIP and its port; an IPv6 address stands in brackets.'),
  protocol: choice(
    'What the head of a connection is: an HTTP/1 request, a TLS ClientHello (not in this version), or nothing: with `tcp` each connection is handed off at once, by its listener and its client.',
    ['http', 'tls', 'tcp'],
  ),
  routing: choice(
    'What later requests of a connection are: routed like the first, the connection moving to where they belong (`per-request`) or its agent relaying those for other pools (`forward`); or served by the backend that the first one chose (`per-connection`). Nothing with `tcp`.',
    ['per-request', 'forward', 'per-connection'],
    { default: 'per-request' },
  ),
  limits: Type.Optional(
    mapping(
      'What the clients of this listener may have, handed-off connections included; an IPv6 /64 is one client. A tcp connection beyond is reset, without an answer.',
      {
        connections: Type.Optional(integer('Open connections; 503 beyond.', 1, 16_777_216)),
        client_connections: Type.Optional(
          integer('Open connections of one client; 429 beyond.', 1, 1_048_576),
        ),
        client_rate: Type.Optional(
          integer('New connections of one client per second; 429 beyond.', 1, 1_000_000),
        ),
        client_burst: Type.Optional(
          integer(
            'New connections at once that a client may have saved up for; as many as `client_rate` without it.',
            1,
            1_000_000,
          ),
        ),
      },
    ),
  ),
});

const ROUTE = mapping(
  'A match and what becomes of the requests that it takes: one of `pool`, `split`, `respond`, `redirect`, `deny`.',
  {
    name: Type.Optional(name("Name of the route in agents' access logs.")),
    match: Type.Optional(MATCH),
    ...ACTIONS,
    ...EDITS,
  },
);

// What undici sends as it is: visible ASCII, with blanks within.
export const FRONT_SCHEMA = mapping('Configuration of a front.', {
  node: NODE,
  listeners: listOf('The VIPs.', LISTENER),
  routes: listOf('What becomes of requests; the first route that matches wins.', ROUTE, MAX_ROUTES),
  pools: mapOf('The pools by name.', name('Name of the pool.'), POOL, { minProperties: 1 }),
  steering: mapping("How clients' packets reach the backend after a handoff.", {
    interface: text('Network interface on which the packets of clients arrive.', 'an interface name', {
      // IFNAMSIZ is 16 with the final NUL; the rest is what dev_valid_name() of the kernel refuses.
      pattern: '^(?!\\.\\.?$)[^\\s/:]{1,15}$',
    }),
    pin: text('Directory on a bpf file system; the flow table there survives the front.', 'a path', {
      minLength: 1,
      default: '/sys/fs/bpf/baton',
    }),
    // Memory follows use, some two hundred bytes per flow: a full table of the maximum takes a few gigabytes.
    max_flows: integer(
      'Flows that the table can hold; a full table refuses handoffs.',
      1,
      16_777_216,
      1_048_576,
    ),
  }),
  control: mapping('How the channel to the agents is secured: either `insecure: true` or `tls`.', {
    insecure: Type.Optional(INSECURE),
    tls: Type.Optional(mapping('Mutual TLS.', TLS_FILES)),
  }),
  admin: settings('The admin API.', adminKeys('127.0.0.1:9180')),
  timeouts: settings('Limits in time.', {
    head: duration('Time for a client to send its head.', '10s'),
    prepare: duration('Time for an agent to answer an offer, before the next backend is tried.', '1s'),
    backend_gone: duration(
      "Time without any sign of life from a backend's host after which its connections are given up and reset.",
      '10s',
    ),
    idle_flow: duration('Time without packets after which a flow may be forgotten.', '1h'),
    linger: duration(
      'Time without packets after which the flow of a closed connection leaves the table.',
      '30s',
    ),
  }),
  limits: settings('Limits in size and number.', {
    // A head waits in the receive queue while it is peeked, and a fresh connection's window holds 64 KiB.
    head_bytes: integer('Bytes of the longest head.', 128, 65_536, 16_384),
    // Each takes a file descriptor, and fs.nr_open stops at this number by default.
    connections: integer('Connections that wait for their head or their handoff.', 1, 1_048_576, 100_000),
  }),
  workers: Type.Unsafe<number | 'auto'>({
    type: ['integer', 'string'],
    minimum: 1,
    maximum: MAX_WORKERS,
    pattern: '^auto$',
    default: 1,
    description: 'Accepting threads; `auto` takes one per core.',
    expected: `auto or a whole number from 1 to ${MAX_WORKERS}`,
  }),
});

export const AGENT_SCHEMA = mapping('Configuration of an agent.', {
  node: NODE,
  control: mapping('Where fronts connect, and how that is secured: either `insecure: true` or `tls`.', {
    listen: endpoint('Address and port for the control channel.'),
    insecure: Type.Optional(INSECURE),
    tls: Type.Optional(
      mapping('Mutual TLS.', {
        ...TLS_FILES,
        allow: Type.Optional(
          listOf(
            'Nodes that may connect; all that the authorities sign, without it.',
            name('Name of a front.'),
          ),
        ),
      }),
    ),
  }),
  vips: listOf(
    'Only connections to these may be restored: to any port of an address, or to one.',
    vip('VIP, alone or with a port.'),
  ),
  manage_vips: Type.Boolean({
    default: false,
    description:
      'Put the VIPs on the loopback interface, with the sysctls that this takes, and log what was done.',
  }),
  serve: Type.Optional(
    mapping(
      'Who serves the connections: either `upstream` or `app` those to http listeners, `tcp` those to tcp listeners, or both kinds. Only a service that is its own agent (`attach`) has none.',
      {
        upstream: Type.Optional(
          text('Any HTTP server on this host.', 'an http:// URL of host and port alone', {
            format: 'origin',
          }),
        ),
        app: Type.Optional(
          file(
            'Module with a default export: a (req, res) handler, an http.Server or a Fastify instance. A named export `adopt` gets connections that come with the state of an application before.',
          ),
        ),
        tcp: Type.Optional(
          file(
            'Module whose default export has a function `adopt(connection, state)`: it gets each connection.',
          ),
        ),
        listen: Type.Optional(
          endpoint('Where the app is served to ordinary connections too: health checks, the proxy fallback.'),
        ),
      },
    ),
  ),
  sticky_cookie: Type.Optional(
    text(
      "Cookie that the agent sets to its `node` where a client has none or another backend's: what `sticky` of a pool reads.",
      'a cookie name',
      { pattern: `^${TOKEN}$` },
    ),
  ),
  access_log: Type.Optional(ACCESS_LOG),
  admin: Type.Optional(mapping('The admin API.', adminKeys('127.0.0.1:9181'))),
});

/** A front's configuration as written, defaults filled in. */
export type FrontInput = Static<typeof FRONT_SCHEMA>;

/** An agent's configuration as written, defaults filled in. */
export type AgentInput = Static<typeof AGENT_SCHEMA>;
