import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import { configure } from '../../src/lab/ip';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { capture, type Capture } from '../lab/capture';
import type { TcpOptions } from '../lab/pcap';
import { amount } from '../soak';
import { setMtu } from './odd/jumbo';
import { kernelCounter } from './odd/kernel-counters';
import {
  APP,
  countsOf,
  expectNothingLeft,
  inUrl,
  quietFds,
  report,
  runClient,
  type Counts,
  type LoadResult,
} from './support';

/**
 * Clients of a real kernel that does without what others have, or whose programs end a connection as few do: uploads and
 * downloads with a checksum of every byte at both ends, over IPv4 and IPv6. Each kind has a client host of its own.
 */

const ADDRESSES = [VIP4, VIP6];
const MIB = 1024 * 1024;
/** Through all kinds of heads, both addresses, uploads and downloads. */
const TRANSFERS = amount(24, 480);
const PARALLEL = 8;
const SHARES = [
  [1, 1],
  [200, 3],
  [3072, 1],
];
/** Where packets are tiny, or the window is, a mebibyte takes as long as a hundred do elsewhere. */
const SMALL_SHARES = [
  [1, 2],
  [64, 2],
  [1024, 1],
];
const TIMEOUT_MS = amount(60_000, 600_000);

/** Longer than the kernel takes to ask for a window for the first time (RFC 6298 section 2.4, TCP_RTO_MIN of Linux). */
const DEAF = { deafMs: 500, parallel: 24 };

interface SynOptions {
  readonly mss: number;
  readonly timestamps: boolean;
  readonly sack: boolean;
  readonly scaling: boolean;
}

interface Kind {
  readonly name: string;
  /** Path below /proc/sys/net -> value, on the client. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Of the client's routes to the VIPs. */
  readonly advmss?: number;
  /** What its SYNs say otherwise than usual: the kernel has done what it was told. */
  readonly syn?: Partial<SynOptions>;
  /** Whether its kernel must have closed its window at times. */
  readonly closesWindow?: boolean;
  /** Options of mixed-transfers.mjs. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Whether the front may have to relay some. */
  readonly mayRelay?: boolean;
}

const TINY_BUFFER = { 'ipv4/tcp_rmem': '4096 8192 8192' };

const KINDS: readonly Kind[] = [
  { name: 'the usual' },
  { name: 'without timestamps', sysctls: { 'ipv4/tcp_timestamps': '0' }, syn: { timestamps: false } },
  { name: 'without SACK', sysctls: { 'ipv4/tcp_sack': '0' }, syn: { sack: false } },
  { name: 'without window scaling', sysctls: { 'ipv4/tcp_window_scaling': '0' }, syn: { scaling: false } },
  {
    name: 'without any of the three',
    sysctls: { 'ipv4/tcp_timestamps': '0', 'ipv4/tcp_sack': '0', 'ipv4/tcp_window_scaling': '0' },
    syn: { timestamps: false, sack: false, scaling: false },
  },
  { name: 'an MSS of 536', advmss: 536, syn: { mss: 536 } },
  { name: 'an MSS of 100', advmss: 100, syn: { mss: 100 }, options: { shares: SMALL_SHARES } },
  {
    name: 'a receive buffer of 8 KiB',
    sysctls: TINY_BUFFER,
    options: { shares: SMALL_SHARES },
  },
  { name: 'deaf at the handoff, pipelining', closesWindow: true, options: DEAF },
  {
    name: 'deaf, with a buffer of 8 KiB',
    sysctls: TINY_BUFFER,
    closesWindow: true,
    options: { ...DEAF, shares: SMALL_SHARES },
  },
  // Those whose FIN comes before the handoff: only ESTABLISHED connections move.
  { name: 'closing its side behind the request', options: { finish: true }, mayRelay: true },
];
const LAST = KINDS.length;
/** Client hosts beside those of KINDS. */
const [RESETTING, FAST_OPEN, JUMBO] = [LAST, LAST + 1, LAST + 2];

let cluster: Cluster;
let fds: readonly number[];
let syns: Capture;

beforeAll(async () => {
  // An agent that a busy machine lets answer late is no reason to relay.
  const front = { timeouts: { prepare: '5s', linger: '500ms' } };
  cluster = await Cluster.start({ app: APP, clients: LAST + 3, front });
  await transfer(host(0), { count: 24 });
  fds = await quietFds(cluster);
  // A SYN without ACK, of either version; IPv6 without extension headers.
  const filter = 'dst port 80 and (tcp[13] & 18 == 2 or ip6[53] & 18 == 2)';
  syns = await capture(cluster.lab, cluster.frontHost, { filter });
}, 60_000);

afterAll(() => cluster.destroy());

function host(index: number): Host {
  return cluster.lab.host(`c${index + 1}`);
}

function transfer(
  client: Host,
  options: Readonly<Record<string, unknown>> = {},
): Promise<LoadResult & { bytes: number }> {
  const all = { addresses: ADDRESSES, count: TRANSFERS, parallel: PARALLEL, shares: SHARES, ...options };
  return runClient(client, 'mixed-transfers.mjs', all, TIMEOUT_MS);
}

function row(name: string, connections: number, { handedOff, fallbacks }: Counts, more: string): void {
  report(
    `${name.padEnd(36)} ${String(connections).padStart(3)} connections: ${handedOff} handed off, ${fallbacks} relayed, ${more}`,
  );
}

/** What came since. */
async function since(before: Counts): Promise<Counts> {
  const now = await countsOf(cluster);
  return {
    accepted: now.accepted - before.accepted,
    handedOff: now.handedOff - before.handedOff,
    fallbacks: now.fallbacks - before.fallbacks,
    relayedBytes: now.relayedBytes - before.relayedBytes,
  };
}

/** Expects transfers of one kind to have come through, by the way that they should. */
async function expectServed(
  name: string,
  before: Counts,
  result: LoadResult & { bytes: number },
  mayRelay = false,
): Promise<void> {
  const done = await since(before);
  const { errors, errorCount, seconds } = result;
  row(
    name,
    TRANSFERS,
    done,
    `${(result.bytes / MIB).toFixed(0)} MiB right, ${errorCount} wrong, ${seconds.toFixed(1)} s`,
  );
  expect(errors).toEqual([]);
  expect(result.ms).toHaveLength(TRANSFERS);
  expect(done.accepted).toBe(TRANSFERS);
  expect(done.handedOff + done.fallbacks).toBe(TRANSFERS);
  if (!mayRelay) expect(done).toMatchObject({ fallbacks: 0, relayedBytes: 0 });
}

test.each(KINDS.map((kind, index) => ({ index, ...kind })))(
  '$name: served right',
  async ({ index, name, sysctls = {}, advmss, options, mayRelay, closesWindow }) => {
    const client = host(index);
    const routes = [`route add ${VIP4}/32 dev eth0`, `route add ${VIP6}/128 dev eth0`];
    await configure(
      client.netns,
      sysctls,
      advmss === undefined ? [] : routes.map((route) => `${route} advmss ${advmss}`),
    );
    const before = await countsOf(cluster);
    await expectServed(name, before, await transfer(client, options), mayRelay);
    if (closesWindow) expect(await kernelCounter(client, 'TCPToZeroWindowAdv')).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

test('each kind was what it is called', async () => {
  const packets = await syns.stop();
  for (const [index, { name, syn }] of KINDS.entries()) {
    const { address4, address6 } = host(index);
    const its = packets.filter(({ src }) => src === address4 || src === address6);
    const found = its.map(({ version, options }) => ({ name, version, ...synOptions(options) }));
    const usual = { timestamps: true, sack: true, scaling: true };
    expect(found).toEqual(
      its.map(({ version }) => ({ name, version, ...usual, mss: version === 4 ? 1460 : 1440, ...syn })),
    );
    expect(new Set(its.map(({ version }) => version))).toEqual(new Set([4, 6]));
  }
});

function synOptions({ mss = NaN, timestamp, sackOk, windowScale }: TcpOptions): SynOptions {
  return {
    mss,
    timestamps: timestamp !== undefined,
    sack: sackOk === true,
    scaling: windowScale !== undefined,
  };
}

test('none of them leaves anything behind', () => expectNothingLeft(cluster, fds), 30_000);

test(
  'a RST in the middle ends one transfer, and no other',
  async () => {
    const count = amount(36, 600);
    const before = await countsOf(cluster);
    // Beyond what the kernels of both ends may hold (tcp_wmem, tcp_rmem): such an upload is at a backend.
    const marks = [6, 7, 9].map((mib) => mib * MIB + 321);
    const options = { addresses: ADDRESSES, count, parallel: 6, bytes: 16 * MIB, marks };
    const [resets, others] = await Promise.all([
      runClient<LoadResult>(host(RESETTING), 'resets.mjs', options, TIMEOUT_MS),
      transfer(host(0)),
    ]);
    const done = await since(before);
    row(
      'RST in the middle',
      count,
      { ...done, handedOff: done.handedOff - TRANSFERS },
      `${others.ms.length} others right`,
    );
    expect([...resets.errors, ...others.errors]).toEqual([]);
    expect(done).toMatchObject({ accepted: count + TRANSFERS, handedOff: count + TRANSFERS, fallbacks: 0 });
    await expectNothingLeft(cluster, fds);
  },
  TIMEOUT_MS,
);

// TFO_CLIENT_ENABLE, TFO_CLIENT_NO_COOKIE; TFO_SERVER_ENABLE, TFO_SERVER_COOKIE_NOT_REQD, TFO_SERVER_WO_SOCKOPT1
// (include/net/tcp.h). Baton does not ask for it, but an operator can switch it on for all listeners of a host.
const TFO_CLIENT = 0x1 | 0x4;
const TFO_SERVER = 0x2 | 0x200 | 0x400;

/** Downloads and uploads by curl with TCP_FASTOPEN_CONNECT, one connection each; returns how many there were. */
async function fastOpen(client: Host, times: number): Promise<number> {
  const file = join(cluster.lab.dir, 'upload.bin');
  writeFileSync(file, randomBytes(3 * MIB));
  const path = `/bytes?n=${4 * MIB}&seed=7`;
  const direct = `http://${cluster.lab.host('b1').address4}:8080${path}`;
  const script = `
    set -e
    ask() { curl -sSgf -m 20 "$@"; }
    right=$(ask '${direct}' | sha256sum) sum=$(sha256sum < ${file} | cut -d ' ' -f 1)
    for vip in ${ADDRESSES.map(inUrl).join(' ')}; do for k in $(seq ${times}); do
      test "$(ask --tcp-fastopen "http://$vip${path}" | sha256sum)" = "$right"
      ask --tcp-fastopen -H Expect: --data-binary @${file} http://$vip/sum | grep -q "$sum"
      echo right; echo right
    done; done`;
  const { code, stdout, stderr } = await client.run(['sh', '-c', script], { timeoutMs: TIMEOUT_MS });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.split('\n').filter((line) => line === 'right').length;
}

describe('a client with TCP Fast Open', () => {
  const times = amount(2, 40);
  const connections = times * 2 * ADDRESSES.length;
  let client: Host;

  beforeAll(async () => {
    client = host(FAST_OPEN);
    await configure(client.netns, { 'ipv4/tcp_fastopen': `${TFO_CLIENT}` }, []);
  });

  test(
    'is served where the front host has it off',
    async () => {
      const before = await countsOf(cluster);
      expect(await fastOpen(client, times)).toBe(connections);
      const done = await since(before);
      row('TCP Fast Open, off at the front', connections, done, '0 wrong');
      expect(done).toEqual({ accepted: connections, handedOff: connections, fallbacks: 0, relayedBytes: 0 });
      // The data of the SYN was there, and was not taken.
      expect(await kernelCounter(client, 'TCPFastOpenActiveFail')).toBe(connections);
      await expectNothingLeft(cluster, fds);
    },
    TIMEOUT_MS,
  );

  test(
    'is served where the front host has it on',
    async () => {
      await cluster.front.stop();
      await configure(cluster.frontHost.netns, { 'ipv4/tcp_fastopen': `${TFO_SERVER}` }, []);
      await cluster.startFront();
      await cluster.allUp();
      const before = await countsOf(cluster);
      expect(await fastOpen(client, times)).toBe(connections);
      const done = await since(before);
      row('TCP Fast Open, on at the front', connections, done, '0 wrong');
      expect(done).toMatchObject({ accepted: connections, handedOff: connections - done.fallbacks });
      // The front may have the request before the handshake is done: then there is no connection yet to hand off.
      const unfinished = await cluster.frontMetric('baton_fallbacks_total', { reason: 'not_established' });
      expect(unfinished).toBe(done.fallbacks);
      expect(await kernelCounter(client, 'TCPFastOpenActive')).toBe(connections);
      expect(await kernelCounter(cluster.frontHost, 'TCPFastOpenPassive')).toBe(connections);
    },
    TIMEOUT_MS,
  );
});

// The last one, because it changes everybody's cables.
describe('cables of 9,000 bytes', () => {
  beforeAll(async () => {
    await setMtu(cluster.lab, 9_000);
    // Of the front that was started last.
    fds = await quietFds(cluster);
  });

  afterAll(() => expectNothingLeft(cluster, fds), 30_000);

  test.each([
    { name: 'an MSS of 8,960', index: JUMBO, mtu: 9_000 },
    { name: 'an MSS of 1,460 among larger ones', index: 0, mtu: 1_500 },
  ])(
    '$name: served right',
    async ({ name, index, mtu }) => {
      const client = host(index);
      await configure(client.netns, {}, [`link set eth0 mtu ${mtu}`]);
      const before = await countsOf(cluster);
      await expectServed(name, before, await transfer(client));
    },
    TIMEOUT_MS,
  );
});
