/** Who gets past an agent's gate, over real sockets. */
import { once } from 'node:events';
import { connect as connectPlain, type AddressInfo, type Socket } from 'node:net';
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { HANDSHAKE_MS, MOST_HANDSHAKES, openGate, type Gate, type Peer } from '../../src/wire/gate';
import { until } from '../kernel/pair';
import { Certificates } from './certificates';
import { RawPeer } from './raw-peer';

const certificates = new Certificates().makeCluster();
certificates.make('front-2', { names: ['front-2'], uses: ['clientAuth'], by: 'ca' });
certificates.make('roleless', { names: ['front-1'], by: 'ca' });
certificates.make('expired', { names: ['front-1'], uses: ['clientAuth'], by: 'ca', days: -1 });
certificates.make('own', { names: ['front-1'], uses: ['clientAuth'] });
certificates.make('other', { isAuthority: true });
certificates.make('foreign', { names: ['front-1'], uses: ['clientAuth'], by: 'other' });
certificates.make('namesake', { isAuthority: true, commonName: 'ca' });
certificates.make('forged', { names: ['front-1'], uses: ['clientAuth'], by: 'namesake' });

let gate: Gate;
let admitted: { socket: Socket; peer: Peer }[];
let refused: { address: string; cause: string; kind: string }[];
/** What admitted peers have sent. */
let heard: string;
const clients: Socket[] = [];

async function open(allow?: readonly string[]): Promise<void> {
  [admitted, refused, heard] = [[], [], ''];
  // What is left of the test before must not be taken for something of this one.
  const [entered, turnedAway] = [admitted, refused];
  gate = openGate(certificates.tls('b1', allow), {
    admitted: (socket, peer) => {
      entered.push({ socket, peer });
      socket.on('error', () => undefined);
      socket.on('data', (data: Buffer) => (heard += data.toString()));
    },
    refused: (address, cause, kind) => turnedAway.push({ address, cause, kind }),
  });
  gate.server.listen(0, '127.0.0.1');
  await once(gate.server, 'listening');
}

function close(): void {
  for (const client of clients.splice(0)) client.destroy();
  for (const { socket } of admitted) socket.destroy();
  gate.server.close();
}

afterEach(() => close());
afterAll(() => certificates.remove());

const port = (): number => (gate.server.address() as AddressInfo).port;

/** A client that trusts the agent whatever it is, and speaks as soon as it can. */
function dial(options: ConnectionOptions = {}, say = 'frames'): TLSSocket {
  const client = connect({ host: '127.0.0.1', port: port(), rejectUnauthorized: false, ...options });
  clients.push(client);
  client.on('error', () => undefined);
  client.write(say);
  return client;
}

function as(name: string): ConnectionOptions {
  return { cert: certificates.text(`${name}.pem`), key: certificates.text(`${name}-key.pem`) };
}

async function dialPlain(): Promise<RawPeer> {
  const peer = await RawPeer.connect(port());
  clients.push(peer.socket);
  return peer;
}

async function connections(): Promise<number> {
  return new Promise((resolve) => gate.server.getConnections((_error, count) => resolve(count)));
}

test('a front is let in with its certificate', async () => {
  await open(['front-1']);
  dial(as('front-1'));
  await until(() => heard !== '');
  expect([heard, admitted.length, refused]).toEqual(['frames', 1, []]);
  const { peer, socket } = admitted[0] ?? {};
  expect(peer?.address).toBe(`${socket?.remoteAddress}:${socket?.remotePort}`);
  expect(peer?.chain.map(({ subject }) => subject)).toEqual(['CN=front-1', 'CN=ca']);
  expect((socket as TLSSocket).getProtocol()).toBe('TLSv1.3');
});

test.each<[string, ConnectionOptions, string]>([
  ['no certificate', {}, 'the peer has shown no certificate'],
  ["an agent's certificate", as('b1'), 'the certificate is not made for this role'],
  ['a certificate without a role', as('roleless'), 'its extended key usage lacks clientAuth'],
  ['an expired certificate', as('expired'), 'the certificate has expired (CERT_HAS_EXPIRED)'],
  ['a certificate of its own', as('own'), 'another authority'],
  ['a certificate of another authority', as('foreign'), 'another authority'],
  ['a certificate of a namesake of the authority', as('forged'), 'another authority'],
  [
    'a certificate that is not allowed',
    as('front-2'),
    'names DNS:front-2, which is not in control.tls.allow',
  ],
])('%s is refused, and both ends are told', async (_what, options, cause) => {
  await open(['front-1']);
  const client = dial(options);
  const said = new RawPeer(client);
  const goodbye = await said.next();
  expect(goodbye).toEqual({ type: 11, payload: Buffer.from(refused[0]?.cause ?? '') });
  expect(refused).toEqual([
    {
      address: expect.any(String) as string,
      cause: expect.stringContaining(cause) as string,
      kind: 'certificate',
    },
  ]);
  await until(() => client.closed);
  await untilEmpty();
  expect([admitted.length, heard]).toEqual([0, '']);
});

async function untilEmpty(): Promise<void> {
  for (let left = 1; left > 0; left = await connections())
    await new Promise((resolve) => setTimeout(resolve, 5));
}

test.each<[string, () => unknown, string]>([
  ['speaks TLS 1.2', () => dial({ ...as('front-1'), maxVersion: 'TLSv1.2' }), 'does not speak TLS 1.3'],
  [
    'speaks no TLS',
    async () => (await dialPlain()).send(Buffer.from('000000040102030405', 'hex')),
    'does not speak TLS:',
  ],
  [
    'speaks HTTP',
    async () => (await dialPlain()).send(Buffer.from('GET / HTTP/1.1\r\n\r\n')),
    'does not speak TLS:',
  ],
  ['goes away', async () => (await dialPlain()).socket.destroy(), 'gone before the end of its TLS handshake'],
  [
    'resets',
    async () => (await dialPlain()).socket.resetAndDestroy(),
    'gone before the end of its TLS handshake',
  ],
])('a peer that %s is refused, with the reason', async (_what, come, cause) => {
  await open();
  await come();
  await until(() => refused.length > 0);
  expect(refused).toEqual([
    {
      address: expect.stringMatching(/^127\.0\.0\.1:\d+$/) as string,
      cause: expect.stringContaining(cause) as string,
      kind: 'handshake',
    },
  ]);
  await untilEmpty();
  expect(admitted).toEqual([]);
});

test('no session is resumed, so no certificate is checked by what held earlier', async () => {
  await open();
  const first = dial(as('front-1'));
  const sessions: Buffer[] = [];
  first.on('session', (session) => sessions.push(session));
  await until(() => heard === 'frames');
  // One that had been taken would come with the messages behind the handshake.
  admitted[0]?.socket.write('x');
  await once(first, 'data');

  expect(sessions.length).toBeGreaterThan(0);
  for (const session of sessions) {
    const again = dial({ session });
    again.resume();
    await once(again, 'secureConnect');
    expect(again.isSessionReused()).toBe(false);
    await until(() => again.closed);
  }
  expect(admitted).toHaveLength(1);
  expect(refused.map(({ cause }) => cause)).toEqual(sessions.map(() => 'the peer has shown no certificate'));
});

describe('a peer that takes its time', () => {
  test('is ended after a while, however often it says a byte', async () => {
    await open();
    const [silent, dripping] = [await dialPlain(), await dialPlain()];
    const hello = await helloOf();
    let sent = 0;
    const drip = setInterval(() => dripping.socket.write(hello.subarray(sent, ++sent)), 100);
    const began = performance.now();
    await Promise.all([silent.end(), dripping.end()]);
    clearInterval(drip);
    const waited = performance.now() - began;
    expect(sent).toBeGreaterThan(10);
    expect(waited).toBeGreaterThan(HANDSHAKE_MS - 500);
    expect(waited).toBeLessThan(HANDSHAKE_MS + 2000);
    expect(refused.map(({ cause }) => cause)).toEqual(
      Array(2).fill(`no TLS handshake within ${HANDSHAKE_MS} ms`),
    );
    await untilEmpty();
  }, 10_000);

  test('makes room for those who do not', async () => {
    await open();
    const silent: RawPeer[] = [];
    const more = 50;
    for (let k = 0; k < MOST_HANDSHAKES + more; k++) silent.push(await dialPlain());
    await until(() => refused.length >= more);
    expect(await connections()).toBe(MOST_HANDSHAKES);
    dial(as('front-1'));
    await until(() => heard === 'frames');
    // The oldest had to go, one for each that came late.
    await until(() => silent.filter(({ ended }) => ended).length === more + 1);
    expect(silent.slice(0, more + 1).every(({ ended }) => ended)).toBe(true);
    expect(new Set(refused.map(({ cause }) => cause))).toEqual(
      new Set([`more than ${MOST_HANDSHAKES} TLS handshakes at once`]),
    );
    process.stdout.write(
      `  gate: ${silent.length} silent peers, ${refused.length} ended early, the front let in\n`,
    );
  }, 10_000);

  test('is ended when it has been refused and stays', async () => {
    await open(['front-1']);
    const stubborn = connect({
      host: '127.0.0.1',
      port: port(),
      rejectUnauthorized: false,
      allowHalfOpen: true,
    } as ConnectionOptions);
    clients.push(stubborn);
    stubborn.on('error', () => undefined);
    await until(() => refused.length === 1);
    await untilEmpty();
    expect(refused).toHaveLength(1);
  }, 10_000);
});

/** The first message of a TLS client. */
async function helloOf(): Promise<Buffer> {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [hello] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return hello;
}

describe('new certificates', () => {
  test('are shown to who comes from then on', async () => {
    await open();
    certificates.make('b1-next', { names: ['b1'], uses: ['serverAuth'], by: 'ca' });
    const shown = async (): Promise<string | undefined> => {
      const client = dial(as('front-1'));
      await once(client, 'secureConnect');
      return client.getPeerX509Certificate()?.fingerprint256;
    };
    expect(await shown()).toBe(certificates.read('b1').fingerprint256);
    gate.renew(certificates.tls('b1-next'));
    expect(await shown()).toBe(certificates.read('b1-next').fingerprint256);
    expect(refused).toEqual([]);
  });

  test('decide on those who are here, and on handshakes under way', async () => {
    await open();
    dial(as('front-1'));
    dial(as('front-2'));
    await until(() => admitted.length === 2);
    const objections = (): (string | undefined)[] =>
      admitted
        .map(({ peer }) => [peer.chain[0]?.subject, gate.objection(peer)])
        .sort()
        .map(([, objection]) => objection);
    expect(objections()).toEqual([undefined, undefined]);
    gate.renew(certificates.tls('b1', ['front-1']));
    expect(objections()).toEqual([undefined, expect.stringContaining('not in control.tls.allow')]);
    const underWay = connectPlain(port(), '127.0.0.1');
    clients.push(underWay);
    await until(() => underWay.readyState === 'open');
    gate.renew({
      ...certificates.tls('b1'),
      pem: { ...certificates.credentials('b1'), ca: certificates.text('other.pem') },
    });
    expect(objections()).toEqual(Array(2).fill(expect.stringContaining('another authority')));
    const late = connect({ socket: underWay, rejectUnauthorized: false, ...as('front-1') });
    late.on('error', () => undefined);
    await until(() => refused.length === 1);
    expect(refused[0]?.cause).toContain('another authority');
    // Both authorities, as during a change from one to the other.
    gate.renew({
      ...certificates.tls('b1'),
      pem: {
        ...certificates.credentials('b1'),
        ca: `${certificates.text('other.pem')}${certificates.text('ca.pem')}`,
      },
    });
    expect(objections()).toEqual([undefined, undefined]);
    dial(as('foreign'));
    await until(() => admitted.length === 3);
  });

  test('that do not fit together change nothing', async () => {
    await open(['front-1']);
    const { pem } = certificates.tls('b1');
    const wrong = { ...pem, key: certificates.text('front-1-key.pem') };
    expect(() => gate.renew({ ...certificates.tls('b1'), pem: wrong })).toThrow('key values mismatch');
    expect(() =>
      gate.renew({ ...certificates.tls('b1'), pem: { ...pem, ca: pem.ca.replace(/\n.{40}/, '\n') } }),
    ).toThrow();
    dial(as('front-2'));
    await until(() => refused.length === 1);
    dial(as('front-1'));
    await until(() => heard === 'frames');
  });
});
