import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from '../src/lab/host';
import type { LabProcess } from '../src/lab/lab-process';

/** Until its worker accepts. */
const START_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

export interface NginxOptions {
  /** Of its files. */
  readonly name: string;
  /** Where they go. */
  readonly dir: string;
  /** That each worker may have. */
  readonly connections?: number;
  /** Lines of the `http` block beside those that are the same for all. */
  readonly http?: readonly string[];
  /** `host:port`. */
  readonly listen: string;
  /** Lines of the `server` block. */
  readonly server: readonly string[];
  /** A path that is answered once it serves. */
  readonly probe: string;
}

/** Starts an nginx with a worker per CPU and without its log on a host, which ends it with the lab. */
export async function startNginx(host: Host, options: NginxOptions): Promise<LabProcess> {
  const { name, dir, listen, probe } = options;
  const file = join(dir, `${name}.conf`);
  writeFileSync(file, configOf(options));
  const process = host.spawn(['nginx', '-e', 'stderr', '-c', file]);
  const deadline = performance.now() + START_TIMEOUT_MS;
  while ((await host.run(['curl', '-sf', '-o', '/dev/null', `http://${listen}${probe}`])).code !== 0) {
    if (performance.now() > deadline) throw new Error(`${name} does not listen:\n${process.stderrText}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  return process;
}

function configOf({ name, dir, connections = 4000, http = [], listen, server }: NginxOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `${kind}_temp_path ${join(dir, `${name}-${kind}`)};`,
  );
  return `
user root;
worker_processes auto;
daemon off;
pid ${join(dir, `${name}.pid`)};
error_log stderr;
events { worker_connections ${connections}; }
http {
  sendfile on;
  tcp_nopush on;
  access_log off;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  ${[...temporary, ...http].join('\n  ')}
  server {
    listen ${listen} backlog=4096;
    ${server.join('\n    ')}
  }
}
`;
}
