import { existsSync, readdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BPFFS } from '../../src/lab/identity';
import { withNamespace, type Namespace } from '../kernel/namespace';

const DIST = join(__dirname, '../../dist');
const FIXTURE = join(__dirname, 'steering.fixture.cjs');
const FRONT_MAC = '02:00:00:00:00:11';
const BACKEND_MAC = '02:00:00:00:00:21';
const TTL = 64;
const ETHERNET_BYTES = 14;

let made = 0;

/** A namespace with a front's interface, a cable, and a neighbour that answers to the backend's addresses. */
async function withFront(
  body: (step: <T>(name: string) => Promise<T>) => Promise<void>,
  family: 4 | 6,
): Promise<void> {
  const pin = join(BPFFS, `bt-test-${process.pid}-${++made}`);
  try {
    await withNamespace(async (namespace) => {
      await layCable(namespace);
      await body(async <T>(name: string) => {
        const [said] = await namespace.run<T>(FIXTURE, DIST, pin, String(family), name);
        return said as T;
      });
    });
  } finally {
    if (existsSync(pin)) {
      readdirSync(pin).forEach((name) => rmSync(join(pin, name)));
      rmdirSync(pin);
    }
  }
}

async function layCable(namespace: Namespace): Promise<void> {
  await namespace.ip('link', 'add', 'front', 'address', FRONT_MAC, 'type', 'veth', 'peer', 'name', 'wire');
  await namespace.ip('address', 'add', '198.18.0.11/24', 'dev', 'front');
  await namespace.ip('address', 'add', '2001:2::11/64', 'dev', 'front', 'nodad');
  for (const end of ['front', 'wire']) await namespace.ip('link', 'set', end, 'up');
  for (const [network, router] of [
    ['203.0.113.0/24', '198.18.0.254'],
    ['2001:db8::/32', '2001:2::fe'],
  ] as const) {
    await namespace.ip('route', 'add', network, 'via', router, 'dev', 'front');
  }
  for (const address of ['198.18.0.21', '2001:2::21']) {
    await namespace.ip('neigh', 'add', address, 'lladdr', BACKEND_MAC, 'dev', 'front', 'nud', 'permanent');
  }
}

/** A packet that went to the backend: another destination and TTL, a valid header, and otherwise as it was. */
const FORWARDED = { to: BACKEND_MAC.replaceAll(':', ''), ttl: TTL - 1, checksum: 0, same: true };

describe.each([4, 6] as const)('steering IPv%i', (family) => {
  const headers = ETHERNET_BYTES + (family === 4 ? 20 : 40);

  test('sends what belongs to a flow to its backend, and nothing else', async () => {
    await withFront(async (step) => {
      const said = await step('packets');
      expect(said).toEqual({
        ack: FORWARDED,
        counted: { packets: 1, bytes: headers + 20, onOurClock: true },
        error: FORWARDED,
        kept: true,
        copy: FORWARDED,
        keptByCopy: true,
        afterSyn: false,
        // The ACK, the ICMP error with what it quotes, and the SYN/ACK.
        totals: { packets: 3, bytes: 2 * (headers + 20) + headers + 8 + (headers - ETHERNET_BYTES) + 8 },
        drops: { ttl: 1 },
      });
      process.stdout.write(`steering IPv${family}: 9 packets, 4 steered, 1 dropped\n`);
    }, family);
  });

  test('survives the front, and its successor takes it up', async () => {
    await withFront(async (step) => {
      const { number } = await step<{ number: number; kept: boolean }>('leave');
      expect(await step('between')).toEqual({ ack: FORWARDED });
      const taken = await step<{ next: number }>('taken');
      expect(taken).toMatchObject({
        id: { epoch: 7, sequence: 9 },
        packets: 1,
        capacity: 16,
        kept: true,
        again: number,
        name: 'b2',
        ttl: TTL - 1,
      });
      expect(taken.next).not.toBe(number);
    }, family);
  });

  test('tells next hops from what cannot be one', async () => {
    await withFront(async (step) => {
      const { behind, own, nowhere, onLink } = await step<{
        behind: string;
        own: string;
        nowhere: string;
        onLink: boolean;
      }>('nextHops');
      expect(onLink).toBe(true);
      expect(behind).toMatch(
        /: not on-link, the route to it leads through another gateway: name that one as via$/,
      );
      expect(own).toMatch(/: is an address of this host, not a neighbour$/);
      // All are asked at once; this is the one that has none.
      expect(nowhere).toMatch(
        family === 4
          ? /^via 192\.0\.2\.1: no route: .*unreachable$/
          : /^via 2001:db9::1: no route: .*unreachable$/,
      );
    }, family);
  });
});

test('IPv6 extension headers are walked over', async () => {
  await withFront(async (step) => {
    const said = await step('extensions');
    expect(said).toEqual({
      destination: true,
      several: true,
      firstFragment: true,
      laterFragment: false,
      endless: false,
    });
  }, 6);
});

test('a front that cannot start leaves a host as it was, flows and all', async () => {
  await withFront(async (step) => {
    expect(await step('abandon')).toEqual({ pinned: false });
    expect(await step('between')).toEqual({});
    await step('leave');
    expect(await step('abandon')).toEqual({ pinned: true });
    expect(await step('between')).toEqual({ ack: FORWARDED });
  }, 4);
});

test('a pin directory in another file system is refused, with the remedy, and not made', async () => {
  await withFront(async (step) => {
    const { elsewhere, made: wasMade } = await step<{ elsewhere: string; made: boolean }>('refusals');
    expect(elsewhere).toMatch(
      /^steering\.pin: .* is not in a bpf file system: mount -t bpf bpf \/sys\/fs\/bpf$/,
    );
    expect(wasMade).toBe(false);
  }, 4);
});
