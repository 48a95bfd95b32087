import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import { BACKEND_PORT, type Competitor } from './competitor';

interface Variant {
  readonly name: string;
  readonly port: number;
  /** Of a worker, those to the backends included. */
  readonly connections: number;
  readonly upstream: readonly string[];
  readonly location: readonly string[];
}

/** Until its worker accepts. */
const START_TIMEOUT_MS = 10_000;
const POLL_MS = 20;
/** As far as a question does not ask for more. */
const CONNECTIONS = 4000;

function nginx({ name, port, connections, upstream, location }: Variant): Competitor {
  return {
    name,
    proxy: true,
    version: async () => /nginx\/([\w.+-]+)/.exec((await execute(['nginx', '-v'])).stderr)?.[1] ?? '',
    start: async ({ lab, frontHost }) => {
      const servers = lab.backends.map(({ address4 }) => `server ${address4}:${BACKEND_PORT};`);
      const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
        (kind) => `${kind}_temp_path ${join(lab.dir, `${name}-${kind}`)};`,
      );
      const config = `
user root;
worker_processes auto;
daemon off;
pid ${join(lab.dir, `${name}.pid`)};
error_log stderr;
events { worker_connections ${connections}; }
http {
  sendfile on;
  tcp_nopush on;
  access_log off;
  keepalive_requests 1000000000;
  ${temporary.join('\n  ')}
  upstream web { ${[...servers, ...upstream].join(' ')} }
  server {
    listen ${lab.vip4}:${port} backlog=4096;
    location / { ${['proxy_pass http://web;', ...location].join(' ')} }
  }
}
`;
      const file = join(lab.dir, `${name}.conf`);
      writeFileSync(file, config);
      const process = frontHost.spawn(['nginx', '-e', 'stderr', '-c', file]);
      const deadline = performance.now() + START_TIMEOUT_MS;
      const probe = ['curl', '-s', '-o', '/dev/null', `http://${lab.vip4}:${port}/1`];
      while ((await frontHost.run(probe)).code !== 0) {
        if (performance.now() > deadline) throw new Error(`${name} does not listen:\n${process.stderrText}`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
      return { targets: [`${lab.vip4}:${port}`], pid: process.pid };
    },
  };
}

/** As Debian ships it, without its log: a connection to the backend for every request. */
export const nginxShipped = nginx({
  name: 'nginx',
  port: 8003,
  connections: CONNECTIONS,
  upstream: [],
  location: [],
});

/** For large bodies: large buffers, no temporary files, and connections to the backends that stay. */
export const nginxTuned = nginxTunedFor(CONNECTIONS);

export function nginxTunedFor(connections: number): Competitor {
  return nginx({
    name: 'nginx-tuned',
    port: 8004,
    connections,
    upstream: ['keepalive 128;', 'keepalive_requests 1000000000;'],
    location: [
      'proxy_http_version 1.1;',
      'proxy_set_header Connection "";',
      'proxy_buffers 32 64k;',
      'proxy_buffer_size 64k;',
      'proxy_busy_buffers_size 512k;',
      'proxy_max_temp_file_size 0;',
    ],
  });
}
