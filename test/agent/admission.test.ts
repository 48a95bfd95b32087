import type { Socket } from 'node:net';
import { EventEmitter } from 'node:events';
import { Admission, PREPARED_BYTES, SOCKET_BYTES, type Claim } from '../../src/agent/admission';
import { LiveConnections } from '../../src/agent/live-connections';
import { OwnAddresses } from '../../src/agent/own-addresses';
import { makeFlow, parseAddress } from '../../src/kernel/flow';
import { MAX_QUEUE_BYTES } from '../../src/repair/layout';
import { makeSnapshot } from '../repair/snapshots';

const VIP = '198.19.0.1';
const CLIENT = '198.18.1.1';

let live: LiveConnections;

beforeEach(() => {
  live = new LiveConnections(() => undefined);
});

/** `198.19.0.1` or `[198.19.0.1, 80]`. */
function admission(...vips: readonly (string | readonly [string, number])[]): Admission {
  const allowed = vips.map((vip) =>
    typeof vip === 'string'
      ? { address: parseAddress(vip) }
      : { address: parseAddress(vip[0]), port: vip[1] },
  );
  return new Admission(allowed, live, new OwnAddresses(() => ['198.18.0.21', '2001:2::21', VIP]));
}

function claim(by: Admission, flow: Buffer, front = 'f1', queue = 0): Claim {
  const bytes = makeSnapshot({ flow, queues: [queue, 0, 0] });
  // As it arrives: behind other bytes.
  return by.claim(Buffer.concat([Buffer.alloc(13, 0xee), bytes]), 13, bytes.length, front);
}

const flowTo = (vip: string, port: number): Buffer =>
  makeFlow(vip.includes(':') ? '2001:2::1' : CLIENT, 40_000, vip, port);
const flowOf = (clientPort: number): Buffer => makeFlow(CLIENT, clientPort, VIP, 80);

describe('VIPs', () => {
  test.each([
    ['an address stands for all its ports', [VIP], VIP, 22, true],
    ['a port stands for itself', [[VIP, 80]], VIP, 80, true],
    ['and for no other', [[VIP, 80]], VIP, 22, false],
    ['and for no other address', [[VIP, 80]], '198.19.0.2', 80, false],
    [
      'several ports',
      [
        [VIP, 80],
        [VIP, 8080],
      ],
      VIP,
      8080,
      true,
    ],
    [
      'several ports and another',
      [
        [VIP, 80],
        [VIP, 8080],
      ],
      VIP,
      81,
      false,
    ],
    ['the address beside one of its ports', [[VIP, 80], VIP], VIP, 22, true],
    ['the same the other way round', [VIP, [VIP, 80]], VIP, 22, true],
    ['over IPv6', [['2001:2:0:ff::1', 80]], '2001:2:0:ff::1', 80, true],
    ['over IPv6, another port', [['2001:2:0:ff::1', 80]], '2001:2:0:ff::1', 81, false],
    ['none', [], VIP, 80, false],
  ] as const)('%s', (_name, vips, vip, port, allowed) => {
    const attempt = (): Claim => claim(admission(...vips), flowTo(vip, port));
    if (allowed) expect(attempt).not.toThrow();
    else expect(attempt).toThrow(expect.objectContaining({ reason: 'vip_not_allowed' }) as Error);
  });
});

test.each([
  ['198.18.0.21', VIP],
  ['198.19.0.1', '198.19.0.2'],
  ['2001:2::21', '2001:2:0:ff::1'],
])('a client with the address %s of this host is none', (client, vip) => {
  const by = admission(VIP, '198.19.0.2', '2001:2:0:ff::1');
  expect(() => claim(by, makeFlow(client, 40_000, vip, 80))).toThrow(
    expect.objectContaining({
      reason: 'malformed_snapshot',
      message: `the client's address ${client} is one of this host's`,
    }) as Error,
  );
});

describe('a flow', () => {
  const inUse = expect.objectContaining({ reason: 'address_in_use' }) as Error;

  test('is claimed once, whoever claims it, until it is released', () => {
    const by = admission(VIP);
    const first = claim(by, flowOf(1), 'f1');
    expect(() => claim(by, flowOf(1), 'f1')).toThrow(inUse);
    expect(() => claim(by, flowOf(1), 'f2')).toThrow(inUse);
    claim(by, flowOf(2), 'f2');
    by.release(first);
    expect(claim(by, flowOf(1), 'f2')).toMatchObject({ replacesOpen: false });
  });

  test('that is live makes way for the front that handed it over alone, and for all when it is over', () => {
    const by = admission(VIP);
    const socket = Object.assign(new EventEmitter(), { bytesWritten: 0 }) as unknown as Socket;
    live.add(flowOf(1), { epoch: 1, sequence: 1 }, 'f1', socket);
    expect(() => claim(by, flowOf(1), 'f2')).toThrow(inUse);
    const again = claim(by, flowOf(1), 'f1');
    expect(again.replacesOpen).toBe(true);
    by.release(again);
    socket.emit('close');
    expect(claim(by, flowOf(1), 'f2').replacesOpen).toBe(false);
  });
});

describe('memory', () => {
  const full = expect.objectContaining({ reason: 'too_many_offers' }) as Error;

  test('is bounded by what the queues of all prepared connections hold', () => {
    const by = admission(VIP);
    const most = Math.floor(PREPARED_BYTES / (SOCKET_BYTES + MAX_QUEUE_BYTES));
    const claims = Array.from({ length: most }, (_, port) =>
      claim(by, flowOf(port + 1), 'f1', MAX_QUEUE_BYTES),
    );
    expect(() => claim(by, flowOf(9999), 'f2', MAX_QUEUE_BYTES)).toThrow(full);
    // There is room for smaller ones still, and for as large a one when another is gone.
    expect(() => claim(by, flowOf(9998), 'f2')).not.toThrow();
    claims.slice(0, 1).forEach((one) => by.release(one));
    expect(() => claim(by, flowOf(9999), 'f2', MAX_QUEUE_BYTES)).not.toThrow();
    process.stdout.write(`  prepared offers: ${most} with queues of 8 MiB, then refused\n`);
  });

  test('is taken by connections without a byte in their queues too', () => {
    const by = admission(VIP);
    const most = PREPARED_BYTES / SOCKET_BYTES;
    for (let n = 0; n < most; n++)
      claim(by, makeFlow(`198.18.${1 + (n >> 15)}.1`, 1 + (n & 0x7fff), VIP, 80));
    expect(most).toBe(65_536);
    expect(() => claim(by, makeFlow('198.18.9.1', 1, VIP, 80))).toThrow(full);
  });

  test('is not taken by what was refused', () => {
    const by = admission([VIP, 80]);
    for (let n = 0; n < 100; n++) {
      expect(() => claim(by, flowTo(VIP, 81), 'f1', MAX_QUEUE_BYTES)).toThrow('port 81');
    }
    expect(() => claim(by, flowTo(VIP, 80), 'f1', MAX_QUEUE_BYTES)).not.toThrow();
  });
});
