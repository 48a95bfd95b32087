import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4, VIP6 } from '../../../src/lab/topology';
import { APP, curl } from '../support';
import { ClientSockets } from './client-sockets';
import type { RawConnection } from './raw-connection';
import { flowsOf } from './remains';

/** A client that says nothing for long after its server has closed still gets everything. */

const COUNT = 6;
/** More than the client takes unread (128 KiB seen), and less than the server's kernel does: so the application is done. */
const BYTES = 300_000;
const SEED = 5;
const LINGER_MS = 300;
/** The kernel asks a closed window again after 200, 400, 800, 1600 ms: gaps of several times the linger are among them. */
const SILENCE_MS = 4_000;

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({ app: APP, front: { timeouts: { linger: `${LINGER_MS}ms` } } });
  sockets = await ClientSockets.start(cluster.client);
}, 30_000);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

async function deaf(host: string): Promise<RawConnection> {
  const connection = await sockets.connect({ host });
  connection.socket.pause();
  await connection.get(`/bytes?n=${BYTES}&seed=${SEED}`, 'Connection: close\r\n');
  return connection;
}

/** Connections that no process has any more and whose clients lack data. */
async function unacknowledged(): Promise<number> {
  const lists = await Promise.all(
    cluster.lab.backends.map((host) => host.run(['ss', '-Htn', 'state', 'fin-wait-1'])),
  );
  return lists.reduce((sum, { stdout }) => sum + stdout.split('\n').filter((line) => line !== '').length, 0);
}

test('clients whose window stays closed while their server closes, for many times the linger', async () => {
  const connections = await Promise.all(
    Array.from({ length: COUNT }, (_, k) => deaf(k % 2 === 0 ? VIP4 : VIP6)),
  );
  await cluster.until(
    'the application has closed them all',
    async () => (await unacknowledged()) === COUNT,
    10_000,
  );
  // How long they are silent is what is tested.
  await sleep(SILENCE_MS);
  expect(await flowsOf(cluster)).toBe(COUNT);
  for (const { socket } of connections) socket.resume();
  const ends = await Promise.all(connections.map((connection) => connection.ended()));
  const file = join(cluster.lab.dir, 'direct');
  await curl(cluster.client, ['-o', file, `http://198.18.0.21:8080/bytes?n=${BYTES}&seed=${SEED}`]);
  const direct = readFileSync(file, 'latin1');
  const right = connections.filter(({ text }) => text.slice(text.indexOf('\r\n\r\n') + 4) === direct);
  process.stdout.write(
    `  ${COUNT} clients silent for ${SILENCE_MS} ms behind a closed server, linger ${LINGER_MS} ms: ${right.length} got everything\n`,
  );
  expect(ends).toEqual(Array(COUNT).fill('FIN'));
  expect(right).toHaveLength(COUNT);
  await cluster.until('no flow is left', async () => (await flowsOf(cluster)) === 0);
}, 60_000);
