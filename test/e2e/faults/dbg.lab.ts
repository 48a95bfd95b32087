import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../../src/lab/cluster';
import type { Host } from '../../../src/lab/host';
import { VIP4, VIP6 } from '../../../src/lab/topology';
import { capture } from '../../lab/capture';
import type { Packet } from '../../lab/pcap';
import { ClientSockets } from './client-sockets';
import {
  ahead,
  clockRate,
  clocks,
  continuousBytes,
  rightEdges,
  stepsBack,
  traceOf,
  type Trace,
} from './trace';

/**
 * What a handoff looks like on the wire. The agent is stopped for a while, so that the connection hangs between freeze
 * and live: the client must not hear a word in that time, and must not notice a seam afterwards.
 */

const SILENCE_MS = 5;
/** Between the two requests after the handoff: the timestamp clock is measured over it. */
const PAUSE_MS = 10;
/** Between the capture of a packet and the moment when the kernel has taken it in. */
const MARGIN_US = 1_000;
const UPLOAD_BYTES = 4 * 1024 * 1024;
const HOST = 'Host: lab\r\n';

let cluster: Cluster;
let sockets: ClientSockets;
let macs: Record<'c1' | 'f1' | 'b1', string>;

beforeAll(async () => {
  const front = { timeouts: { prepare: '5s', linger: '500ms' } };
  cluster = await Cluster.start({ app: join(__dirname, '../app.mjs'), backends: 1, front });
  sockets = await ClientSockets.start(cluster.client);
  const [c1, f1, b1] = await Promise.all(['c1', 'f1', 'b1'].map((name) => macOf(cluster.lab.host(name))));
  macs = { c1: c1 ?? '', f1: f1 ?? '', b1: b1 ?? '' };
}, 30_000);

afterAll(async () => {
  await sockets.stop();
  await cluster.destroy();
});

async function macOf(host: Host): Promise<string> {
  const { stdout } = await host.run(['ip', '-json', 'link', 'show', 'eth0']);
  return (JSON.parse(stdout) as { address: string }[])[0]?.address ?? '';
}

interface Captured {
  readonly trace: Trace;
  readonly atBackend: readonly Packet[];
  /** Microseconds since the epoch: the connection was frozen and offered, and the agent went on. */
  readonly frozenAt: number;
  readonly thawedAt: number;
  readonly responseBytes: number;
}

/** One connection, handed off in slow motion; `exchange` sends what it likes from the head on, and awaits the answers. */
async function captureHandoff(
  vip: string,
  send: (connection: Awaited<ReturnType<ClientSockets['connect']>>) => Promise<void>,
): Promise<Captured> {
  const agent = cluster.agents[0];
  if (agent === undefined) throw new Error('no agent');
  const [client, backend] = await Promise.all(
    [cluster.client, cluster.lab.host('b1')].map((host) =>
      capture(cluster.lab, host, { filter: 'tcp port 80' }),
    ),
  );
  const connection = await sockets.connect({ host: vip });
  const port = connection.localPort;
  agent.kill('SIGSTOP');
  const sent = send(connection);
  await cluster.until(
    'offered',
    async () => (await cluster.frontApi<{ offers: number }>('/v1/status')).offers === 1,
  );
  const frozenAt = Date.now() * 1000;
  await sleep(SILENCE_MS);
  const thawedAt = Date.now() * 1000;
  agent.kill('SIGCONT');

  await sent;
  let responseBytes = (await connection.responses(1, 10_000)).reduce(lengthOf, 0);
  await sleep(PAUSE_MS);
  await connection.get('/who');
  responseBytes = (await connection.responses(2)).reduce(lengthOf, 0);
  connection.close();
  await cluster.until(
    'closed',
    async () => (await cluster.frontApi<{ total: number }>('/v1/flows')).total === 0,
  );
  const packets = (await client?.stop()) ?? [];
  const atBackend = ((await backend?.stop()) ?? []).filter(({ sport, dport }) =>
    [sport, dport].includes(port),
  );
  return { trace: traceOf(packets, port), atBackend, frozenAt, thawedAt, responseBytes };
}

function lengthOf(sum: number, { head, body }: { head: string; body: string }): number {
  return sum + head.length + body.length;
}


test('many', async () => {
  let bad = 0;
  for (let i = 0; i < 80; i++) {
    const captured = await captureHandoff(i % 2 ? VIP6 : VIP4, async (connection) => {
      const head = `POST /sum HTTP/1.1\r\n${HOST}Content-Length: ${UPLOAD_BYTES}\r\n\r\n`;
      await connection.send(head + 'x'.repeat(UPLOAD_BYTES));
    });
    const { trace } = captured;
    const all = [trace.synAck, ...trace.received];
    const acks = stepsBack(all.map(({ ack }) => ack)), ts = stepsBack(clocks(all)), edges = stepsBack(rightEdges(trace));
    if (acks.length + ts.length + edges.length === 0) continue;
    bad++;
    process.stdout.write(JSON.stringify({ i, acks, ts, edges }) + '\n' + all.map((p) => `${p.time - captured.frozenAt} ${p.srcMac === macs.f1 ? 'front' : 'b1'} ${p.flags} ack ${ahead(p.ack, trace.synAck.ack)} win ${p.window} len ${p.payloadLength} ts ${ahead(p.options.timestamp?.value ?? 0, trace.synAck.options.timestamp?.value ?? 0)}`).join('\n') + '\n');
    if (bad > 2) break;
  }
}, 200000);
void sleep; void clockRate; void continuousBytes;
