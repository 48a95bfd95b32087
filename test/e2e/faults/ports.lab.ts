import { join } from 'node:path';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { ClientSockets } from './client-sockets';
import type { RawConnection } from './raw-connection';
import { descriptorsOf, flowsOf, untilNothingLeft } from './remains';

/** Where the flow table has an entry already, or no room for one. */

const APP = join(__dirname, '../app.mjs');
const PORTS = 20;
const FIRST_PORT = 40_000;
const ROUNDS = 10;
/** RFC 6298 section 2. */
const SYN_RETRY_MS = 1_000;

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

/** A way in which a connection comes to its end; after each the client uses its port again. */
interface End {
  readonly fields: string;
  readonly end: (connection: RawConnection) => void | Promise<void>;
}

const RESET: End = { fields: '', end: (connection) => connection.reset() };
/** Leaves TIME_WAIT at the client. */
const CLIENT_FIRST: End = { fields: '', end: (connection) => connection.close() };
/** Leaves TIME_WAIT at the backend. */
const BACKEND_FIRST: End = {
  fields: 'Connection: close\r\n',
  end: async (connection) => {
    expect(await connection.ended()).toBe('FIN');
    connection.close();
  },
};

/** Connects from the port, asks, ends the connection, and returns the milliseconds until the answer. */
async function useOnce(port: number, { fields, end }: End): Promise<number> {
  const begin = performance.now();
  const connection = await connectFrom(port);
  const answer = await who(connection, fields);
  const ms = performance.now() - begin;
  expect(answer).toMatchObject({ client: cluster.client.address4, port });
  await end(connection);
  return ms;
}

/** A port whose FIN is on its way is taken until the kernel has its answer. */
async function connectFrom(localPort: number): Promise<RawConnection> {
  for (;;) {
    try {
      return await sockets.connect({ host: VIP4, localPort });
    } catch (error) {
      if (!(error instanceof Error) || !/EADDRINUSE|EADDRNOTAVAIL/.test(error.message)) throw error;
    }
  }
}

/** Until then the front still has the sockets of connections that it handed off. */
function released(): Promise<void> {
  return cluster.until('sockets released', async () => {
    const status = await cluster.frontApi<{ releasing_sockets: number }>('/v1/status');
    return status.releasing_sockets === 0;
  });
}

/** Connections in TIME_WAIT at the backends. */
async function timeWaits(): Promise<number> {
  const all = await Promise.all(
    cluster.lab.backends.map((host) => host.run(['ss', '-Htn', 'state', 'time-wait', 'src', VIP4])),
  );
  return all.reduce((sum, { stdout }) => sum + stdout.split('\n').filter((line) => line !== '').length, 0);
}

test.each([
  // The client's own TIME_WAIT would keep it from using the port within a second.
  {
    options: 'with timestamps',
    sysctls: ['net.ipv4.tcp_tw_reuse=1', 'net.ipv4.tcp_tw_reuse_delay=1'],
    ends: [RESET, CLIENT_FIRST, BACKEND_FIRST],
  },
  // Without them no kernel uses a port in TIME_WAIT again by itself, and in repair connect(2) over one is refused.
  { options: 'without timestamps', sysctls: ['net.ipv4.tcp_timestamps=0'], ends: [RESET, BACKEND_FIRST] },
])(
  'a client port used again at once, however its last connection ended, is served right, $options',
  async ({ options, sysctls, ends }) => {
    // No entry of the flow table goes away by itself: each new connection meets the last one's.
    await start({ timeouts: { linger: '30s' } });
    expect(await cluster.client.run(['sysctl', '-w', ...sysctls])).toMatchObject({ code: 0 });
    const ports = Array.from({ length: PORTS }, (_, k) => FIRST_PORT + k);
    const endOf = (port: number): End => ends[port % ends.length] ?? RESET;
    const [atOnce, later]: [number[], number[]] = [[], []];
    let mostWaiting = 0;
    for (let round = 0; round < ROUNDS; round++) {
      if (round % 2 === 0) await released();
      const ms = await Promise.all(ports.map((port) => useOnce(port, endOf(port))));
      (round % 2 === 0 ? later : atOnce).push(...ms);
      mostWaiting = Math.max(mostWaiting, await timeWaits());
    }
    expect(await flowsOf(cluster)).toBeLessThanOrEqual(PORTS);
    expect(await cluster.frontMetric('baton_handoffs_total', { result: 'ok' })).toBe(PORTS * ROUNDS);
    expect(await cluster.frontMetric('baton_fallbacks_total')).toBe(0);
    // There was something to meet.
    expect(mostWaiting).toBeGreaterThan(0);
    // A SYN that still meets the old, frozen socket is lost; the client repeats it after a second.
    expect(Math.max(...atOnce)).toBeLessThan(2 * SYN_RETRY_MS);
    expect(Math.max(...later)).toBeLessThan(SYN_RETRY_MS);
    process.stdout.write(
      `  port used again ${PORTS * ROUNDS} times ${options}: worst ${Math.max(...later).toFixed(0)} ms, ` +
        `${Math.max(...atOnce).toFixed(0)} ms where the front still had the old socket; ` +
        `${mostWaiting} in TIME_WAIT at the backends\n`,
    );
  },
  60_000,
);

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
  process.stdout.write(
    `  ${FLOWS} of ${FLOWS} flows in use: the next client relayed, all ${FLOWS} answered again\n`,
  );

  for (const connection of [...idle, next]) connection.close();
  await untilNothingLeft(cluster, descriptors);
  const handedOff = await sockets.connect({ host: VIP4 });
  expect((await who(handedOff)).client).toBe(cluster.client.address4);
}, 60_000);
