import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { capture } from '../lab/capture';
import type { Packet } from '../lab/pcap';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import {
  ahead,
  clockRate,
  clocks,
  continuousBytes,
  rightEdges,
  stepOver,
  traceOf,
  type Trace,
} from './faults/trace';

/**
 * What a handoff looks like on the wire. The agent is stopped for a while, so that the connection hangs between freeze
 * and live: the client must not hear a word in that time, and must not notice a seam afterwards.
 */

const SILENCE_MS = 300;
/** Between the two requests after the handoff: the timestamp clock is measured over it. */
const PAUSE_MS = 400;
/** Between the capture of a packet and the moment when the kernel has taken it in. */
const MARGIN_US = 1_000;
const UPLOAD_BYTES = 4 * 1024 * 1024;
const HOST = 'Host: lab\r\n';

let cluster: Cluster;
let sockets: ClientSockets;
let macs: Record<'c1' | 'f1' | 'b1', string>;

beforeAll(async () => {
  const front = { timeouts: { prepare: '5s', linger: '500ms' } };
  cluster = await Cluster.start({ app: join(__dirname, 'app.mjs'), backends: 1, front });
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

/** One connection, handed off in slow motion; `send` sends its first request, a second one follows. */
async function captureHandoff(
  vip: string,
  send: (connection: RawConnection) => Promise<void>,
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
  await connection.responses(1, 10_000);
  await sleep(PAUSE_MS);
  await connection.get('/who');
  const responseBytes = (await connection.responses(2)).reduce(lengthOf, 0);
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

describe.each([
  { family: 'IPv4', vip: VIP4 },
  { family: 'IPv6', vip: VIP6 },
])('a handoff on the wire, $family', ({ family, vip }) => {
  describe.each([
    {
      kind: 'a slow head',
      send: async (connection: RawConnection) => {
        for (const piece of ['GET /wh', 'o HTTP/1.1\r\n', HOST]) {
          await connection.send(piece);
          await cluster.frontApi('/v1/status');
        }
        await connection.send('\r\n');
      },
    },
    {
      kind: 'an upload',
      send: async (connection: RawConnection) => {
        const head = `POST /sum HTTP/1.1\r\n${HOST}Content-Length: ${UPLOAD_BYTES}\r\n\r\n`;
        await connection.send(head + 'x'.repeat(UPLOAD_BYTES));
      },
    },
  ])('of $kind', ({ kind, send }) => {
    let captured: Captured;

    beforeAll(async () => (captured = await captureHandoff(vip, send)), 30_000);

    /** Packets to the client that the backend sent. */
    const live = (): Packet[] => captured.trace.received.filter(({ srcMac }) => srcMac === macs.b1);

    test('is silent from freeze to live', () => {
      const { trace, frozenAt, thawedAt } = captured;
      expect(thawedAt - frozenAt).toBeGreaterThanOrEqual((SILENCE_MS - 1) * 1000);
      expect(trace.received.filter(({ time }) => time > frozenAt && time < thawedAt)).toEqual([]);
      const gap = (live()[0]?.time ?? 0) - thawedAt;
      expect(gap).toBeGreaterThan(0);
      process.stdout.write(
        `  ${family}, ${kind}: ${trace.sent.length} packets sent, ${trace.received.length} received, silent for ` +
          `${((thawedAt - frozenAt) / 1000).toFixed(0)} ms, live ${(gap / 1000).toFixed(1)} ms later\n`,
      );
    });

    test('has no RST in either direction, and nobody else talks', () => {
      const { sent, received } = captured.trace;
      const all = [...sent, ...received, ...captured.atBackend];
      expect(all.filter(({ flags }) => flags.includes('R'))).toEqual([]);
      expect(received.map(({ flags }) => flags)).not.toContain('SA');
    });

    test('leaves no gap in the sequence numbers', () => {
      expect(continuousBytes(captured.trace)).toBe(captured.responseBytes);
    });

    test('never takes back an acknowledgement, a timestamp or a window', () => {
      const { synAck, received } = captured.trace;
      const before = [synAck, ...received.filter(({ srcMac }) => srcMac === macs.f1)];
      const after = live();
      const scale = synAck.options.windowScale ?? NaN;
      const acks = (packets: readonly Packet[]): number[] => packets.map(({ ack }) => ack);
      expect(stepOver(acks(before), acks(after))).toBeGreaterThanOrEqual(0);
      expect(stepOver(clocks(before), clocks(after))).toBeGreaterThan(0);
      expect(stepOver(rightEdges(before, scale), rightEdges(after, scale))).toBeGreaterThanOrEqual(0);
    });

    test('goes on with the same clock: one tick a millisecond, echoing what the client sent', () => {
      const packets = live();
      expect(clockRate(packets)).toBeCloseTo(1, 1);
      const [first] = packets;
      // What the client sent last does not travel; the backend knows it again with the first packet that arrives there.
      const heardAt = captured.atBackend.find(({ dst }) => dst === vip)?.time ?? 0;
      const later = packets.filter(({ time }) => time > heardAt + MARGIN_US);
      expect(later.length).toBeGreaterThan(2);
      const echoed = new Set(clocks(captured.trace.sent));
      for (const { options } of later) expect(echoed).toContain(options.timestamp?.echo);
      const lag =
        (first?.time ?? 0) - captured.trace.synAck.time - 1000 * clockGap(captured.trace.synAck, first);
      process.stdout.write(
        `  ${family}, ${kind}: clock ${(lag / 1000).toFixed(0)} ms behind after the handoff\n`,
      );
    });

    test('answers straight from the backend; the front is only on the way there', () => {
      const { synAck, sent, received } = captured.trace;
      expect(synAck.srcMac).toBe(macs.f1);
      expect(new Set(sent.map(({ dstMac }) => dstMac))).toEqual(new Set([macs.f1]));
      const sources = received.map(({ srcMac }) => srcMac);
      expect(new Set(sources.slice(sources.indexOf(macs.b1)))).toEqual(new Set([macs.b1]));
      const payload = received.filter(({ payloadLength }) => payloadLength > 0);
      expect(new Set(payload.map(({ srcMac }) => srcMac))).toEqual(new Set([macs.b1]));
    });

    test('steers with one hop less, and no handshake', () => {
      const steered = captured.atBackend.filter(({ dst }) => dst === vip);
      const first = captured.trace.sent[0]?.ttl ?? 0;
      expect(steered.length).toBeGreaterThan(2);
      expect(new Set(steered.map(({ ttl }) => ttl))).toEqual(new Set([first - 1]));
      expect(new Set(steered.map(({ srcMac, dstMac }) => `${srcMac} ${dstMac}`))).toEqual(
        new Set([`${macs.f1} ${macs.b1}`]),
      );
      expect(steered.filter(({ flags }) => flags.includes('S'))).toEqual([]);
    });
  });
});

/** Milliseconds between two packets by their own clock. */
function clockGap(from: Packet, to: Packet | undefined): number {
  const [a = 0, b = 0] = clocks(to === undefined ? [] : [from, to]);
  return ahead(b, a);
}
