import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execute } from '../../src/lab/execute';
import type { Host } from '../../src/lab/host';
import { labDir, labPin } from '../../src/lab/identity';
import { Lab } from '../../src/lab/lab';
import { capture } from './capture';
import { startOwner } from './owner';
import { askName, serveName } from './requests';
import { withLab } from './with-lab';

/** Below the second after which TCP repeats a lost SYN: who connects in this time had its first packet pass. */
const FIRST_PACKET_SECONDS = 0.9;

function namespacesOf(id: string): string[] {
  return readdirSync('/run/netns').filter((name) => name.startsWith(id));
}

/** A zombie, which init has not waited for yet, is dead. */
function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !readFileSync(`/proc/${pid}/stat`, 'latin1').includes(') Z ');
}

/** Sends one UDP datagram, which nobody has to receive. */
function sendDatagram(from: Host, address: string, bytes: number): Promise<unknown> {
  return from.run(['bash', '-c', `printf %0${bytes}d 0 > /dev/udp/${address}/9`]);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}

describe('a default lab', () => {
  let lab: Lab;
  let createMs: number;

  beforeAll(async () => {
    const begin = performance.now();
    lab = await Lab.create();
    createMs = performance.now() - begin;
    await Promise.all(['f1', 'b1', 'b2'].map((name) => serveName(lab.host(name))));
  }, 30_000);

  afterAll(() => lab.destroy());

  test('stands within 1.5 s', () => expect(createMs).toBeLessThan(1_500));

  test.each(['f1', 'b1', 'b2'])('reaches %s from the client over both families', async (name) => {
    const client = lab.host('c1');
    const host = lab.host(name);
    expect((await askName(client, host.address4)).name).toBe(name);
    expect((await askName(client, host.address6)).name).toBe(name);
  });

  test('has the VIPs on the first front, which does not use them as its own source', async () => {
    expect((await askName(lab.host('c1'), lab.vip4)).name).toBe('f1');
    expect((await askName(lab.host('c1'), lab.vip6)).name).toBe('f1');
    const route = await lab.host('f1').run(['ip', 'route', 'get', '2001:2::21']);
    expect(route.stdout).toContain('src 2001:2::11 ');
  });

  test('does not leak into the network of this machine', async () => {
    const { stdout } = await execute(['ip', 'addr']);
    expect(stdout).not.toMatch(/198\.1[89]\.|2001:2:/);
  });

  test('captures a handshake with its options', async () => {
    const client = lab.host('c1');
    const running = await capture(lab, client, { filter: 'tcp port 8080' });
    await askName(client, lab.vip4);
    const packets = await running.stop();

    const [syn, synAck, ack] = packets;
    expect(syn).toMatchObject({
      version: 4,
      src: client.address4,
      dst: lab.vip4,
      dport: 8080,
      ttl: 64,
      flags: 'S',
    });
    expect(syn?.options).toMatchObject({ mss: 1460, sackOk: true, sackBlocks: [], timestamp: { echo: 0 } });
    expect(syn?.options.windowScale).toBeGreaterThan(0);
    expect(synAck).toMatchObject({ src: lab.vip4, flags: 'SA', srcMac: syn?.dstMac, dstMac: syn?.srcMac });
    expect(synAck?.options).toMatchObject({ mss: 1460, sackOk: true });
    expect(synAck?.options.timestamp?.echo).toBe(syn?.options.timestamp?.value);
    expect(synAck?.ack).toBe(((syn?.seq ?? 0) + 1) % 2 ** 32);
    expect(ack).toMatchObject({ flags: 'A', payloadLength: 0, options: { sackBlocks: [] } });
    expect(ack?.options.mss).toBeUndefined();

    const fin = packets.find((packet) => packet.src === client.address4 && packet.flags.includes('F'));
    const sent = packets.filter((packet) => packet.src === client.address4);
    const bytes = sent.reduce((sum, packet) => sum + packet.payloadLength, 0);
    expect(((fin?.seq ?? 0) - (syn?.seq ?? 0) - 1 + 2 ** 32) % 2 ** 32).toBe(bytes);
  });

  test('captures on the loopback, and over IPv6', async () => {
    const server = lab.host('b1');
    const running = await capture(lab, server, { filter: 'tcp port 8080', interface: 'lo' });
    await askName(server, server.address6);
    const [syn] = await running.stop();
    expect(syn).toMatchObject({ version: 6, src: server.address6, dst: server.address6, flags: 'S' });
  });
});

test('passes the first packet of a new lab, over both families', async () => {
  await withLab({ clientAddresses: 250 }, async (lab) => {
    const client = lab.host('c1');
    // Each is the first packet between its two hosts; the server needs longer to start than the links to come up.
    await Promise.all(
      [lab.fronts, lab.backends].flat().map(async (host) => {
        const refused = await Promise.all(
          [host.address4, `[${host.address6}]`].map((address) =>
            client.run([
              'curl',
              '-sSg',
              '--connect-timeout',
              `${FIRST_PACKET_SECONDS}`,
              `http://${address}:9/`,
            ]),
          ),
        );
        // The answer of a host that nobody serves on; no answer would be a timeout, 28.
        expect(refused.map(({ code }) => code)).toEqual([7, 7]);
      }),
    );
    expect(client.addresses4).toHaveLength(250);
    const { stdout } = await client.run(['ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0']);
    expect(stdout.trim().split('\n')).toHaveLength(250);
    const range = await client.run(['cat', '/proc/sys/net/ipv4/ip_local_port_range']);
    expect(range.stdout).toBe('1024\t65535\n');
  });
}, 30_000);

describe('the end of a lab', () => {
  test('leaves no process, namespace, file or pin behind, within a second', async () => {
    const lab = await Lab.create();
    const parent = lab.host('b1').spawn(['sh', '-c', 'sleep 1000 & echo $!; exec sleep 1000']);
    const child = Number(await parent.waitForLine(/^\d+$/, 5_000));
    const stopped = lab.host('c1').spawn(['sleep', '1000']);
    stopped.kill('SIGSTOP');
    await execute(['mkdir', '-p', join(lab.pin, 'below')]);
    expect(namespacesOf(lab.id)).toHaveLength(5);

    const begin = performance.now();
    await Promise.all([lab.destroy(), lab.destroy()]);
    expect(performance.now() - begin).toBeLessThan(1_000);

    expect([parent.pid, child, stopped.pid].filter(isAlive)).toEqual([]);
    expect(namespacesOf(lab.id)).toEqual([]);
    expect([lab.dir, lab.pin].filter(existsSync)).toEqual([]);
    expect(process.listenerCount('SIGTERM')).toBe(0);
  }, 30_000);

  test('comes after a failing body too', async () => {
    const seen: Lab[] = [];
    const failing = withLab({}, (lab) => {
      seen.push(lab);
      return Promise.reject(new Error('the body failed'));
    });
    await expect(failing).rejects.toThrow('the body failed');
    expect(seen.map((lab) => namespacesOf(lab.id))).toEqual([[]]);
  }, 30_000);

  test('of one lab does not touch another', async () => {
    await withLab({}, async (kept) => {
      const other = await Promise.all([Lab.create(), Lab.create()]);
      expect(new Set([kept.id, ...other.map(({ id }) => id)]).size).toBe(3);
      const server = await serveName(kept.host('b1'));
      await Promise.all(other.map((lab) => lab.destroy()));
      expect(isAlive(server.pid)).toBe(true);
      expect((await askName(kept.host('c1'), kept.host('b1').address4)).name).toBe('b1');
    });
  }, 30_000);
});

describe('the owner of a lab', () => {
  let directory: string;

  beforeEach(() => (directory = mkdtempSync(join(tmpdir(), 'baton-owner-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  test.each(['SIGINT', 'SIGTERM'] as const)(
    'destroys it on %s, of which it then dies',
    async (signal) => {
      const owner = await startOwner(directory);
      owner.process.kill(signal);
      expect(await owner.process.exited).toEqual({ code: null, signal });
      expect(namespacesOf(owner.id)).toEqual([]);
      expect(isAlive(owner.sleeper)).toBe(false);
      expect(existsSync(owner.dir)).toBe(false);
    },
    30_000,
  );

  test('decides itself how to end where it listens for the signal', async () => {
    const owner = await startOwner(directory, `process.once('SIGTERM', () => (process.exitCode = 3));`);
    owner.process.kill('SIGTERM');
    expect(await owner.process.exited).toEqual({ code: 3, signal: null });
    expect(namespacesOf(owner.id)).toEqual([]);
  }, 30_000);

  test('may crash: the next lab of anyone clears up, and spares other namespaces', async () => {
    const owner = await startOwner(directory);
    const foreign = `${owner.id}-x1`;
    await execute(['ip', 'netns', 'add', foreign]);
    try {
      owner.process.kill('SIGKILL');
      await owner.process.exited;
      expect(namespacesOf(owner.id)).toHaveLength(5);
      expect(isAlive(owner.sleeper)).toBe(true);
      await withLab({}, () => Promise.resolve());
      expect(namespacesOf(owner.id)).toEqual([foreign]);
      expect(isAlive(owner.sleeper)).toBe(false);
      expect(existsSync(owner.dir)).toBe(false);
    } finally {
      await execute(['ip', 'netns', 'del', foreign]);
    }
  }, 30_000);
});

test('clears up after a crashed owner of which only files and pins are left', async () => {
  // The kernel's process ids end at 2^22.
  const id = `bt${(2 ** 22 + 1).toString(36)}0`;
  const left = [labDir(id), join(labPin(id), 'below')];
  await execute(['mkdir', '-p', ...left]);
  await withLab({}, () => Promise.resolve());
  expect([labDir(id), labPin(id)].filter(existsSync)).toEqual([]);
  // One alone is enough to be found.
  await execute(['mkdir', '-p', labPin(id)]);
  await withLab({}, () => Promise.resolve());
  expect(existsSync(labPin(id))).toBe(false);
}, 30_000);

describe('a lab with a router', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await Lab.create({ router: true, clients: 2, backends: 1 });
    await Promise.all(['f1', 'b1'].map((name) => serveName(lab.host(name))));
  }, 30_000);

  afterAll(() => lab.destroy());

  test('leads from every client to the cluster through the router', async () => {
    const addresses = [lab.vip4, lab.vip6, lab.host('b1').address4, lab.host('b1').address6];
    const running = await capture(lab, lab.host('f1'), { filter: 'tcp port 8080' });
    for (const client of lab.clients) {
      const names = await Promise.all(
        addresses.map(async (address) => (await askName(client, address)).name),
      );
      expect(names).toEqual(['f1', 'f1', 'b1', 'b1']);
    }
    const arrived = (await running.stop()).filter(({ dport }) => dport === 8080);
    expect(new Set(arrived.map(({ src }) => src))).toEqual(
      new Set(lab.clients.flatMap((client) => [client.address4, client.address6])),
    );
    expect(new Set(arrived.map(({ ttl }) => ttl))).toEqual(new Set([63]));
  });

  test.each([
    { family: 'IPv4', from: 'address4', icmp: 1 },
    { family: 'IPv6', from: 'address6', icmp: 58 },
  ] as const)('tells the sender of a packet too large for the clients, $family', async ({ from, icmp }) => {
    const backend = lab.host('b1');
    const client = lab.host('c1');
    await lab.setRouterClientMtu(1_400);
    const running = await capture(lab, backend, { filter: 'icmp or icmp6' });
    // 1450 bytes fit the backend's own link. Linux sets DF on a datagram unless told otherwise.
    await sendDatagram(backend, client[from], 1_450);
    await until(async () =>
      (await backend.run(['ip', 'route', 'get', client[from]])).stdout.includes('mtu 1400'),
    );
    const packets = await running.stop();
    expect(packets).toContainEqual(
      expect.objectContaining({ src: lab.host('rt')[from], dst: backend[from], protocol: icmp }),
    );
  });

  test('takes full packets from the clients whatever the MTU towards them', async () => {
    const backend = lab.host('b1');
    const client = lab.host('c1');
    await lab.setRouterClientMtu(1_400);
    const running = await capture(lab, backend, { filter: 'udp port 9' });
    await sendDatagram(client, backend.address4, 1_450);
    // Once its answer is back, the datagram before it has passed as well.
    await askName(client, backend.address4);
    expect((await running.stop()).map(({ payloadLength }) => payloadLength)).toEqual([1_458]);
  });
});

test('only a lab with a router has an MTU to set', async () => {
  await withLab({}, async (lab) => {
    await expect(lab.setRouterClientMtu(1_400)).rejects.toThrow('no router');
    expect(() => lab.host('rt')).toThrow('no host rt');
  });
}, 30_000);
