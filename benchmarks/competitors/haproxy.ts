import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import { BACKEND_PORT, type Competitor } from './competitor';

const START_TIMEOUT_MS = 10_000;
/** Clients at once, as far as a question does not ask for more. */
const CONNECTIONS = 4000;

interface Variant {
  readonly name: string;
  readonly port: number;
  /** Of clients at once. */
  readonly connections: number;
  readonly global: readonly string[];
  readonly defaults: readonly string[];
}

function haproxy({ name, port, connections, global, defaults }: Variant): Competitor {
  return {
    name,
    proxy: true,
    version: async () => /version ([\w.+-]+)/.exec((await execute(['haproxy', '-v'])).stdout)?.[1] ?? '',
    start: async ({ lab, frontHost }) => {
      const servers = lab.backends.map((host) => `server ${host.name} ${host.address4}:${BACKEND_PORT}`);
      const section = (title: string, lines: readonly string[]): string =>
        [title, ...lines.map((line) => `  ${line}`)].join('\n');
      const config = [
        section('global', [`maxconn ${connections}`, ...global]),
        section('defaults', [
          'mode http',
          'timeout connect 5s',
          'timeout client 50s',
          'timeout server 50s',
          ...defaults,
        ]),
        section('frontend web', [`bind ${lab.vip4}:${port}`, 'default_backend web']),
        section('backend web', ['balance roundrobin', ...servers]),
        '',
      ].join('\n\n');
      const file = join(lab.dir, `${name}.cfg`);
      writeFileSync(file, config);
      const process = frontHost.spawn(['haproxy', '-W', '-f', file]);
      await process.waitForLine(/Loading success|New worker.*forked/, START_TIMEOUT_MS);
      return { targets: [`${lab.vip4}:${port}`], pid: process.pid };
    },
  };
}

/** As Debian ships it, without its log. */
export const haproxyShipped = haproxy({
  name: 'haproxy',
  port: 8001,
  connections: CONNECTIONS,
  global: [],
  defaults: [],
});

/** For large bodies: larger buffers, and splice(2) where the kernel can move octets by itself. */
export const haproxyTuned = haproxyTunedFor(CONNECTIONS);

export function haproxyTunedFor(connections: number): Competitor {
  return haproxy({
    name: 'haproxy-tuned',
    port: 8002,
    connections,
    // It wants two descriptors for each connection and would not start without, however few go to the backends.
    global: ['tune.bufsize 131072', 'no strict-limits'],
    defaults: ['option splice-request', 'option splice-response', 'http-reuse always'],
  });
}
