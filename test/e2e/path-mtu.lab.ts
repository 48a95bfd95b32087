import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { capture } from '../lab/capture';
import type { Packet } from '../lab/pcap';

/**
 * The path to the clients gets narrower while responses are under way. The router tells the sender, by the packet's
 * source: the VIP, so the front. Unless that message is steered to the backend the transfer hangs for ever.
 */

const TRANSFERS = join(__dirname, 'faults/transfers.mjs');
const BYTES = 32 * 1024 * 1024;
const NARROW = 1_300;
const WIDE = 1_500;

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.start({ app: join(__dirname, 'app.mjs'), backends: 1, router: true });
  // Most of a download has to be unsent when the path changes, whatever the machine's limit for buffers.
  const { code } = await cluster.client.run(['sysctl', '-w', 'net.ipv4.tcp_rmem=4096 131072 1048576']);
  expect(code).toBe(0);
}, 30_000);

afterEach(() => cluster.lab.setRouterClientMtu(WIDE));
afterAll(() => cluster.destroy());

async function probing(): Promise<string> {
  return (await cluster.lab.host('b1').run(['cat', '/proc/sys/net/ipv4/tcp_mtu_probing'])).stdout.trim();
}

/** Path MTUs of the connections from the VIP, as the backend's kernel has them. */
async function pathMtus(vip: string): Promise<number[]> {
  const { stdout } = await cluster.lab
    .host('b1')
    .run(['ss', '-Htin', 'src', vip.includes(':') ? `[${vip}]` : vip]);
  return [...stdout.matchAll(/ pmtu:(\d+)/g)].map(([, mtu]) => Number(mtu));
}

const TOO_BIG = { 4: 1, 6: 58 } as const;

test.each([
  { version: 4, vip: VIP4, from: 'address4' },
  { version: 6, vip: VIP6, from: 'address6' },
] as const)(
  'a path that gets narrower stops no download, IPv$version',
  async ({ version, vip, from }) => {
    // With it the kernel would find out by itself in the end, and the test could not fail.
    expect(await probing()).toBe('0');
    const backend = cluster.lab.host('b1');
    const transfers = cluster.client.spawn([process.execPath, TRANSFERS, vip, '1', '0', `${BYTES}`]);
    await transfers.waitForLine('paused', 15_000);
    await cluster.until('one flow', async () => (await pathMtus(vip)).length === 1);
    expect(await pathMtus(vip)).toEqual([WIDE]);

    const running = await capture(cluster.lab, backend, { filter: 'icmp or icmp6' });
    await cluster.lab.setRouterClientMtu(NARROW);
    const begin = performance.now();
    transfers.kill('SIGUSR2');
    await cluster.until('path MTU learnt', async () => (await pathMtus(vip)).includes(NARROW));
    expect(JSON.parse(await transfers.waitForLine('"complete"', 15_000))).toEqual({
      complete: 1,
      failed: [],
    });
    const ms = performance.now() - begin;

    const steered = (await running.stop()).filter((packet) => isAbout(packet, version, vip));
    expect(steered.length).toBeGreaterThan(0);
    expect(new Set(steered.map(({ src }) => src))).toEqual(new Set([cluster.lab.host('rt')[from]]));
    process.stdout.write(
      `  IPv${version}: ${steered.length} "too big" steered, path MTU ${NARROW}, ` +
        `${BYTES / 2 ** 20} MiB right ${ms.toFixed(0)} ms after the change\n`,
    );
    await cluster.lab.setRouterClientMtu(WIDE);
  },
  60_000,
);

function isAbout({ protocol, dst }: Packet, version: 4 | 6, vip: string): boolean {
  return protocol === TOO_BIG[version] && dst === vip;
}
