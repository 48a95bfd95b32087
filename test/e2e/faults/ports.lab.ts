import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { ClientSockets } from './client-sockets';
import type { RawConnection } from './raw-connection';
import { descriptorsOf, flowsOf, untilNothingLeft } from './remains';

/** Where the flow table has an entry already, or no room for one. */

const APP = join(__dirname, '../app.mjs');
const ROUNDS = 200;
const PORT = 40_000;

interface Who {
  readonly node: string;
  readonly client: string;
  readonly port: number;
  readonly headers: Readonly<Record<string, string>>;
}

let cluster: Cluster;
let sockets: ClientSockets;

async function start(front: Record<string, unknown>): Promise<void> {
  cluster = await Cluster.start({ app: APP, front });
  sockets = await ClientSockets.start(cluster.client);
}

afterEach(async () => {
  await sockets.stop();
  await cluster.destroy();
});

async function who(connection: RawConnection, fields = ''): Promise<Who> {
  await connection.get('/who', fields);
  const { status, body } = await connection.response();
  if (status !== 200) throw new Error(`status ${status}: ${body}`);
  return JSON.parse(body) as Who;
}

/** The ways in which a connection comes to its end; after each the client uses its port again. */
const ENDS = {
  'a reset by the client': { fields: '', end: (connection: RawConnection) => connection.reset() },
  'a close by the client': { fields: '', end: (connection: RawConnection) => connection.close() },
  'a close by the backend': {
    fields: 'Connection: close\r\n',
    end: async (connection: RawConnection) => {
      expect(await connection.ended()).toBe('FIN');
      connection.close();
    },
  },
};

test(`the same client port ${ROUNDS} times in a row, however its last connection ended`, async () => {
  await start({ timeouts: { linger: '30s' } });
  // The client's own TIME_WAIT would keep it from using the port within a second.
  const sysctls = ['net.ipv4.tcp_tw_reuse=1', 'net.ipv4.tcp_tw_reuse_delay=1'];
  expect(await cluster.client.run(['sysctl', '-w', ...sysctls])).toMatchObject({ code: 0 });
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const kinds = Object.values(ENDS);
    const { fields, end } = kinds[round % kinds.length] ?? ENDS['a reset by the client'];
    const begin = performance.now();
    const connection = await reconnect();
    const { client, port } = await who(connection, fields);
    times.push(performance.now() - begin);
    expect({ client, port }).toEqual({ client: cluster.client.address4, port: PORT });
    await end(connection);
  }
  expect(await flowsOf(cluster)).toBeLessThanOrEqual(1);
  times.sort((a, b) => a - b);
  const [median = 0, worst = 0] = [times[ROUNDS / 2], times.at(-1)];
  process.stdout.write(`  port reused ${ROUNDS} times: median ${median.toFixed(1)} ms, worst ${worst.toFixed(0)} ms\n`);
  expect(worst).toBeLessThan(1_000);
}, 120_000);

/** A port whose FIN is on its way is taken until the kernel has its answer. */
async function reconnect(): Promise<RawConnection> {
  for (;;) {
    try {
      return await sockets.connect({ host: VIP4, localPort: PORT });
    } catch (error) {
      if (!(error instanceof Error) || !/EADDRINUSE|EADDRNOTAVAIL/.test(error.message)) throw error;
    }
  }
}

test('a full flow table evicts nobody: the next client is relayed', async () => {
  const FLOWS = 16;
  await start({});
  await cluster.front.stop();
  // A pinned table keeps its size, so this one needs a place of its own.
  const steering = { interface: 'eth0', pin: join(cluster.lab.pin, 'small'), max_flows: FLOWS };
  cluster.writeFrontConfig({ steering });
  await cluster.startFront();
  await cluster.allUp();
  const descriptors = descriptorsOf(cluster.front);
  const idle: RawConnection[] = [];
  for (let k = 0; k < FLOWS; k++) {
    const connection = await sockets.connect({ host: VIP4 });
    expect((await who(connection)).client).toBe(cluster.client.address4);
    idle.push(connection);
  }
  expect(await flowsOf(cluster)).toBe(FLOWS);

  const next = await sockets.connect({ host: VIP4 });
  const relayed = await who(next);
  expect(relayed.client).toBe(cluster.frontHost.address4);
  expect(relayed.headers['x-forwarded-for']).toBe(cluster.client.address4);
  expect(await cluster.frontMetric('baton_fallbacks_total', { reason: 'flow_table_full' })).toBe(1);
  expect(await cluster.frontMetric('baton_flow_capacity')).toBe(FLOWS);

  const again = await Promise.all(idle.map((connection) => who(connection)));
  expect(again.map(({ client }) => client)).toEqual(idle.map(() => cluster.client.address4));
  expect((await who(next)).client).toBe(cluster.frontHost.address4);
  process.stdout.write(`  ${FLOWS} of ${FLOWS} flows in use: the next client relayed, all ${FLOWS} answered again\n`);

  for (const connection of [...idle, next]) connection.close();
  await untilNothingLeft(cluster, descriptors);
  const handedOff = await sockets.connect({ host: VIP4 });
  expect((await who(handedOff)).client).toBe(cluster.client.address4);
}, 60_000);
