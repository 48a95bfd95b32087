/** More live connections than the flow table has room for: the others are relayed, and later ones are not. */
import { createHash } from 'node:crypto';
import { Cluster } from '../../../src/lab/cluster';
import { VIP4 } from '../../../src/lab/topology';
import { amount } from '../../soak';
import { ClientSockets } from '../faults/client-sockets';
import type { RawConnection } from '../faults/raw-connection';
import { descriptorsOf, flowsOf, untilNothingLeft } from '../faults/remains';
import { APP, countsOf, report } from '../support';
import { expectServed, startOthers } from './others';

const FLOWS = 100;
const CONNECTIONS = amount(300, 3_000);
const BODY_BYTES = 10_000;
const TIMEOUT_MS = 120_000;

let cluster: Cluster;
let sockets: ClientSockets;

beforeAll(async () => {
  cluster = await Cluster.start({
    app: APP,
    front: ({ lab }) => ({
      steering: { interface: 'eth0', pin: lab.pin, max_flows: FLOWS },
      timeouts: { linger: '500ms', prepare: '10s' },
    }),
  });
  sockets = await ClientSockets.start(cluster.client);
}, TIMEOUT_MS);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

/** Uploads a body that no other request has, and returns the address that the backend saw. */
async function upload(connection: RawConnection, k: number): Promise<string> {
  const body = `${k} `.repeat(BODY_BYTES).slice(0, BODY_BYTES);
  await connection.send(`POST /sum HTTP/1.1\r\nHost: lab\r\nContent-Length: ${BODY_BYTES}\r\n\r\n${body}`);
  const { status, body: answer } = await connection.response(TIMEOUT_MS);
  const { sha256, client } = JSON.parse(answer) as { sha256: string; client: string };
  expect([status, sha256]).toEqual([200, createHash('sha256').update(body).digest('hex')]);
  return client;
}

/** One upload on each, and how many of them the backends saw come from the front. */
async function relayedOf(connections: readonly RawConnection[], first: number): Promise<number> {
  const seen = await Promise.all(connections.map((connection, k) => upload(connection, first + k)));
  return seen.filter((client) => client === cluster.frontHost.address4).length;
}

test(
  `${CONNECTIONS} live connections and room for ${FLOWS} flows`,
  async () => {
    const descriptors = descriptorsOf(cluster.front);
    const connections = await Promise.all(
      Array.from({ length: CONNECTIONS }, () => sockets.connect({ host: VIP4 })),
    );
    const relayed = await relayedOf(connections, 0);
    expect([relayed, await flowsOf(cluster)]).toEqual([CONNECTIONS - FLOWS, FLOWS]);

    const others = await startOthers(cluster);
    // The same connections go on, wherever they live.
    expect(await relayedOf(connections, CONNECTIONS)).toBe(relayed);
    const line = await cluster.front.waitForLine('"resource":"flows"', 1000);
    expect(line).toMatch(/all 100 flows are in use.*raise steering.max_flows/);

    sockets.closeAll();
    await cluster.until('room for flows', async () => (await flowsOf(cluster)) < FLOWS / 2);
    const before = await countsOf(cluster);
    const again = await sockets.connect({ host: VIP4 });
    expect(await upload(again, 0)).toBe(cluster.client.address4);
    const served = await expectServed(others);
    const after = await countsOf(cluster);
    const counted = await cluster.frontMetric('baton_exhausted_total', { resource: 'flows' });
    report(
      `${FLOWS} flows, ${CONNECTIONS} connections: ${relayed} relayed, all uploads right, twice; ` +
        `${counted} counted; ${served}`,
    );
    expect(counted).toBe(after.fallbacks);
    expect(after.handedOff).toBeGreaterThan(before.handedOff);
    expect(after.fallbacks).toBe(before.fallbacks);
    await cluster.front.waitForLine(/"resource":"flows".*no longer exhausted/, 15_000);
    sockets.closeAll();
    await untilNothingLeft(cluster, descriptors);
  },
  TIMEOUT_MS,
);
