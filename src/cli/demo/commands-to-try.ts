import type { Cluster } from '../../lab/cluster';
import type { Host } from '../../lab/host';
import { inNamespace } from '../../lab/ip';

const FRONT_ADMIN = 'http://127.0.0.1:9180';
const AGENT_ADMIN = 'http://127.0.0.1:9181';

/** What to do with a cluster that is left running; every line can be pasted into a shell. */
export function commandsToTry(cluster: Cluster): string {
  const { client, frontHost, lab } = cluster;
  const curl = (host: Host, ...args: string[]): string =>
    inNamespace(host.netns, ['curl', '-s', ...args]).join(' ');
  return [
    '',
    'It keeps running until Ctrl-C. To try in another terminal, as root:',
    '',
    '# requests of the client',
    curl(client, `http://${lab.vip4}/api/items`),
    curl(client, '-H', "'x-tenant: gold'", `http://${lab.vip4}/`),
    curl(client, '-g', `'http://[${lab.vip6}]/'`),
    '# the front: status, backends, flow table, metrics; then the connections of an agent',
    ...['/v1/status', '/v1/backends', '/v1/flows', '/metrics'].map((path) =>
      curl(frontHost, FRONT_ADMIN + path),
    ),
    curl(lab.host('b1'), `${AGENT_ADMIN}/v1/connections`),
    '# a download, and meanwhile the end of the front',
    curl(client, '--limit-rate', '20M', '-o', '/dev/null', '-w', "'%{size_download}\\n'", download(cluster)) +
      ' &',
    `kill -9 ${cluster.front.pid}`,
    '# the front again',
    inNamespace(frontHost.netns, [
      'node',
      process.argv[1] ?? '',
      'front',
      '--config',
      cluster.frontConfigFile,
    ]).join(' '),
    '',
  ].join('\n');
}

function download({ lab }: Cluster): string {
  return `'http://${lab.vip4}/download?bytes=268435456'`;
}
