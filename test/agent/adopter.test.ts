import { createServer } from 'node:http';
import { Adopter } from '../../src/agent/adopter';
import { LiveConnections } from '../../src/agent/live-connections';
import { RejectedOffer } from '../../src/agent/rejected-offer';
import { serves, type Services } from '../../src/agent/services';
import { makeFlow, parseAddress } from '../../src/kernel/flow';
import { HEADER_BYTES, ONE_REQUEST, RAW } from '../../src/repair/layout';
import { makeSnapshot } from '../repair/snapshots';

let adopter: Adopter;
let restores: number;
let services: Services;

function openAdopter(...vips: string[]): void {
  restores = 0;
  services = { server: createServer() };
  adopter = new Adopter({
    vips: vips.map((vip) => ({ address: parseAddress(vip) })),
    live: new LiveConnections(() => undefined),
    reservedFrom: Infinity,
    serves: (arrival) => serves(services, arrival),
    admit: () => undefined,
    restored: () => (restores += 1),
    lost: () => undefined,
    voided: () => undefined,
  });
}

afterEach(() => adopter.close());

/** What is said about an offer that must not be taken. */
function refusalOf(snapshot: Buffer): unknown {
  // As it arrives: behind other bytes.
  const bytes = Buffer.concat([Buffer.alloc(13, 0xee), snapshot]);
  try {
    adopter.prepare({ epoch: 1, sequence: 1 }, bytes, 13, snapshot.length, 'f1');
    return undefined;
  } catch (error) {
    return error;
  }
}

test('a VIP that is not one of ours is refused before anything is restored', () => {
  openAdopter('198.19.0.1', '2001:2:0:ff::1');
  for (const [client, vip] of [
    ['198.18.1.1', '198.19.0.2'],
    ['198.18.1.1', '198.19.0.11'],
    ['2001:2::1', '2001:2:0:ff::2'],
    // The client's address is no VIP, and the last bytes of an IPv6 address are no IPv4 one.
    ['198.19.0.1', '198.18.1.1'],
    ['2001:2::1', '2001::ffff:c613:1'],
  ] as const) {
    const refusal = refusalOf(makeSnapshot({ flow: makeFlow(client, 40_000, vip, 80) }));
    expect(refusal).toBeInstanceOf(RejectedOffer);
    expect(refusal).toMatchObject({ reason: 'vip_not_allowed' });
  }
  expect(adopter.results).toEqual({ ok: 0, rejected: 5, aborted: 0, channel_lost: 0, failed: 0 });
  expect(restores).toBe(0);
});

test('without VIPs nothing is taken', () => {
  openAdopter();
  expect(refusalOf(makeSnapshot())).toMatchObject({ reason: 'vip_not_allowed' });
});

test('a malformed snapshot is refused, and the log gets to know what is wrong', () => {
  openAdopter('198.19.0.1');
  expect(refusalOf(makeSnapshot({ mss: 1 }))).toMatchObject({
    reason: 'malformed_snapshot',
    message: 'snapshot: MSS 1 is too small',
  });
});

test('a snapshot of one request is refused without its head, before anything is restored', () => {
  openAdopter('198.19.0.1');
  const snapshot = makeSnapshot({ flags: ONE_REQUEST });
  snapshot.write('GET / HTTP', HEADER_BYTES);
  expect(refusalOf(snapshot)).toMatchObject({
    reason: 'malformed_snapshot',
    message: 'snapshot: one request without a head: incomplete',
  });
  expect(restores).toBe(0);
});

test('a stopping agent refuses before it looks', () => {
  openAdopter('198.19.0.1');
  adopter.stopping = true;
  expect(refusalOf(Buffer.alloc(0))).toMatchObject({ reason: 'stopping', message: 'agent is stopping' });
  expect(adopter.results.rejected).toBe(1);
});

describe('a connection for which nobody serves is refused, before anything is restored', () => {
  const adopt = (): void => undefined;
  const without = /^nobody takes /;

  test.each<[what: string, services: Services, raw: boolean, state: number]>([
    ['no head, and HTTP alone', { server: createServer(), adopt }, true, 0],
    ['no head, with state', { server: createServer(), adopt }, true, 5],
    ['a request, and no server', { tcp: { adopt } }, false, 0],
    ['the state of a session, and no adopt', { server: createServer(), tcp: { adopt } }, false, 5],
    ['nobody at all', {}, false, 0],
  ])('%s', (_what, given, raw, state) => {
    openAdopter('198.19.0.1');
    services = given;
    const refusal = refusalOf(makeSnapshot({ flags: raw ? RAW : 0, state }));
    expect(refusal).toMatchObject({
      reason: 'no_service',
      message: expect.stringMatching(without) as string,
    });
    expect([restores, adopter.results.rejected]).toEqual([0, 1]);
  });
});
