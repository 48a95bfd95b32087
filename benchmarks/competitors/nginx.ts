import { execute } from '../../src/lab/execute';
import { startNginx } from '../nginx-process';
import { BACKEND_PORT, type Competitor } from './competitor';

interface Variant {
  readonly name: string;
  readonly port: number;
  /** Of a worker, those to the backends included. */
  readonly connections: number;
  readonly upstream: readonly string[];
  readonly location: readonly string[];
}

/** As far as a question does not ask for more. */
const CONNECTIONS = 4000;

function nginx({ name, port, connections, upstream, location }: Variant): Competitor {
  return {
    name,
    proxy: true,
    version: async () => /nginx\/([\w.+-]+)/.exec((await execute(['nginx', '-v'])).stderr)?.[1] ?? '',
    start: async ({ lab, frontHost }) => {
      const servers = lab.backends.map(({ address4 }) => `server ${address4}:${BACKEND_PORT};`);
      const process = await startNginx(frontHost, {
        name,
        dir: lab.dir,
        connections,
        http: [`upstream web { ${[...servers, ...upstream].join(' ')} }`],
        listen: `${lab.vip4}:${port}`,
        server: [`location / { ${['proxy_pass http://web;', ...location].join(' ')} }`],
        probe: '/1',
      });
      return { targets: [`${lab.vip4}:${port}`], pid: process.pid };
    },
  };
}

/** As Debian ships it, without its log and its limit of 1 MiB for an upload: a connection to the backend for every request. */
export const nginxShipped = nginx({
  name: 'nginx',
  port: 8003,
  connections: CONNECTIONS,
  upstream: [],
  location: [],
});

/** Connections to an upstream that stay, for its block. */
export const KEPT_UPSTREAM = ['keepalive 128;', 'keepalive_requests 1000000000;'];

/** For large bodies: large buffers, no temporary files, uploads as they come, and connections to the backends that stay. */
export const TUNED_LOCATION = [
  'proxy_http_version 1.1;',
  'proxy_set_header Connection "";',
  'proxy_buffers 32 64k;',
  'proxy_buffer_size 64k;',
  'proxy_busy_buffers_size 512k;',
  'proxy_max_temp_file_size 0;',
  'proxy_request_buffering off;',
  'client_body_buffer_size 512k;',
];

export const nginxTuned = nginxTunedFor(CONNECTIONS);

export function nginxTunedFor(connections: number): Competitor {
  return nginx({
    name: 'nginx-tuned',
    port: 8004,
    connections,
    upstream: KEPT_UPSTREAM,
    location: TUNED_LOCATION,
  });
}
