import type { Component } from './catalogue';

/** One resource of the admin API; `path` is as the reference spells it, with what the operator fills in in capitals. */
export interface AdminPath {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly help: string;
}

const OF_BOTH: readonly AdminPath[] = [
  { method: 'GET', path: '/healthz', help: '200 as long as the process answers.' },
  { method: 'GET', path: '/readyz', help: '200 while it serves, otherwise 503.' },
  { method: 'GET', path: '/metrics', help: 'The metrics, in the text format of Prometheus.' },
];

/** All that the admin APIs answer to: the reference is made of it, and a test holds it against the routes. */
export const ADMIN_PATHS: Readonly<Record<Component, readonly AdminPath[]>> = {
  front: [
    ...OF_BOTH,
    { method: 'GET', path: '/v1/status', help: 'Node, listeners, connections at hand, flows, steering.' },
    {
      method: 'GET',
      path: '/v1/backends',
      help: 'Backends of all pools: state and its cause, channel, health, weight, flows, connections.',
    },
    {
      method: 'GET',
      path: '/v1/flows',
      help: 'Flows in the table with their backends, packets, bytes and moves; 100 of them, or `?limit=` up to 10000.',
    },
    {
      method: 'POST',
      path: '/v1/flows/move',
      help: 'Moves one live connection: `{"flow": "CLIENT:PORT>VIP:PORT", "to": "BACKEND"}`, without `to` anywhere else; 409 says why it stays.',
    },
    {
      method: 'POST',
      path: '/v1/backends/POOL/NAME/drain',
      help: 'Gives a backend of a pool no new connections, and moves those that it has to others of the pool.',
    },
    {
      method: 'POST',
      path: '/v1/backends/POOL/NAME/ready',
      help: 'Takes the draining back, and ends an ejection.',
    },
    {
      method: 'POST',
      path: '/v1/pools/POOL/rebalance',
      help: "Moves idle connections, some hundred a second, until the distribution of the pool's policy holds again.",
    },
    {
      method: 'GET',
      path: '/v1/explain',
      help: 'Where a request would go and why: `?host=&path=&method=&header=NAME: VALUE&client=&listener=`; `header` any number of times.',
    },
    {
      method: 'POST',
      path: '/v1/reload',
      help: 'Reads the configuration anew, as SIGHUP does; 422 says why the old one stays.',
    },
  ],
  agent: [
    ...OF_BOTH,
    { method: 'GET', path: '/v1/status', help: 'Node, VIPs, connections, adoptions by result, fronts.' },
    {
      method: 'GET',
      path: '/v1/connections',
      help: 'Open adopted connections, the front of each, bytes; 100 of them, or `?limit=` up to 10000.',
    },
    {
      method: 'POST',
      path: '/v1/drain',
      help: 'Has all fronts give this agent no new connections, and moves those that it has to other backends.',
    },
    { method: 'POST', path: '/v1/ready', help: 'Takes that back.' },
  ],
};
