import type { Host } from '../../src/lab/host';
import type { LabProcess } from '../../src/lab/lab-process';

const PORT = 8080;

const SERVER = `
  require('node:http')
    .createServer((request, response) => response.end(process.env.NAME))
    .listen(${PORT}, '::', () => console.log('ready'));
`;

/** Starts an HTTP server on all addresses of the host that answers with the host's name. */
export async function serveName(host: Host): Promise<LabProcess> {
  const server = host.spawn([process.execPath, '-e', SERVER], { env: { NAME: host.name } });
  await server.waitForLine('ready', 10_000);
  return server;
}

/** Asks such a server, with curl. Returns the name and the seconds to connect; throws where there is no answer. */
export async function askName(from: Host, address: string): Promise<{ name: string; seconds: number }> {
  const url = `http://${address.includes(':') ? `[${address}]` : address}:${PORT}/`;
  const { code, stdout, stderr } = await from.run([
    'curl',
    '-sSg',
    '-m',
    '5',
    '-w',
    '\n%{time_connect}',
    url,
  ]);
  if (code !== 0) throw new Error(`curl ${url}: ${stderr}`);
  const [name = '', seconds] = stdout.split('\n');
  return { name, seconds: Number(seconds) };
}
