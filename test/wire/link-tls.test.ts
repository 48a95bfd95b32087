/** Which agents a front takes for the ones that it means. */
import { once } from 'node:events';
import { createServer as createPlain, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { AgentAddresses } from '../../src/wire/dial';
import * as frames from '../../src/wire/frames';
import { encodeAgentHello } from '../../src/wire/hello';
import { Link } from '../../src/wire/link';
import { until } from '../kernel/pair';
import { Certificates } from './certificates';
import { frame, RawPeer } from './raw-peer';

const certificates = new Certificates().makeCluster();
certificates.make('b2', { names: ['b2'], uses: ['serverAuth'], by: 'ca' });
certificates.make('roleless', { names: ['b1'], by: 'ca' });
certificates.make('both', { names: ['b1'], uses: ['serverAuth', 'clientAuth'], by: 'ca' });
certificates.make('common', { commonName: 'b1', uses: ['serverAuth'], by: 'ca' });
certificates.make('expired', { names: ['b1'], uses: ['serverAuth'], by: 'ca', days: -1 });
certificates.make('other', { isAuthority: true });
certificates.make('foreign', { names: ['b1'], uses: ['serverAuth'], by: 'other' });

const hello = (node: string): Buffer =>
  frame(frames.HELLO, encodeAgentHello({ node, vips: ['198.19.0.1'], offers: 64 }));

let server: Server;
let link: Link | undefined;
let events: string[];
/** What fronts have said to the agent. */
let agents: RawPeer[];

/** An agent that takes any front and says something as soon as a front may hear it. */
async function serve(certificate: string | undefined, say: Buffer, options: TlsOptions = {}): Promise<void> {
  agents = [];
  const talk = (socket: Socket): void => {
    agents.push(new RawPeer(socket).send(say));
  };
  const ca = certificates.text('ca.pem');
  if (certificate === undefined) server = createPlain(talk);
  else
    server = createServer(
      {
        ca,
        cert: certificates.text(`${certificate}.pem`),
        key: certificates.text(`${certificate}-key.pem`),
        requestCert: true,
        rejectUnauthorized: false,
        ...options,
      },
      talk,
    );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
}

function start(secured = true): Link {
  events = [];
  const { port } = server.address() as AddressInfo;
  const agent = { host: '127.0.0.1', port, family: 4 } as const;
  const addresses = new AgentAddresses(
    secured ? { insecure: false, tls: certificates.tls('front-1') } : { insecure: true },
  );
  link = new Link(
    addresses.of({ name: 'b1', agent }),
    { role: 'keeper', node: 'front-1' },
    {
      onUp: ({ node }) => events.push(`up ${node}`),
      onDown: (cause) => events.push(`down ${cause}`),
      onFailed: (cause) => events.push(`failed ${cause}`),
    },
  );
  link.start();
  return link;
}

afterEach(() => {
  link?.stop();
  for (const { socket } of agents) socket.destroy();
  server.close();
});
afterAll(() => certificates.remove());

test.each(['b1', 'both'])(
  'an agent with the certificate %s is the one, and is shown the front’s',
  async (name) => {
    await serve(name, hello('b1'));
    const up = start();
    await up.settled;
    expect(events).toEqual(['up b1']);
    const [agent] = agents;
    const { type } = (await agent?.next()) ?? {};
    expect(type).toBe(frames.HELLO);
    const socket = agent?.socket as TLSSocket;
    expect([socket.authorized, socket.getPeerX509Certificate()?.subject]).toEqual([true, 'CN=front-1']);
    expect(socket.getProtocol()).toBe('TLSv1.3');
  },
);

// All of them say hello at once, as the agent b1, together with their last handshake message.
test.each<[string, string | undefined, string, TlsOptions]>([
  ["another backend's certificate", 'b2', 'the certificate names DNS:b2, not b1', {}],
  ["a front's certificate", 'front-1', 'the certificate is not made for this role', {}],
  ['a certificate without a role', 'roleless', 'its extended key usage lacks serverAuth', {}],
  ['its name as the common name alone', 'common', 'the certificate names nobody, not b1', {}],
  ['an expired certificate', 'expired', 'the certificate has expired', {}],
  ['a certificate of another authority', 'foreign', 'another authority than those in control.tls.ca', {}],
  ['TLS 1.2 alone', 'b1', 'does not speak TLS 1.3', { maxVersion: 'TLSv1.2' }],
  ['no TLS', undefined, 'the peer does not speak TLS', {}],
])('an agent with %s is refused, and heard not at all', async (_what, name, cause, options) => {
  await serve(name, hello('b1'), options);
  const refusing = start();
  await refusing.settled;
  expect(events).toEqual([expect.stringContaining(cause)]);
  expect(events[0]).toMatch(/^failed /);
  expect(refusing.up).toBe(false);
  // Nor does it hear of anything: what the agent without TLS hears is a handshake.
  refusing.stop();
  await Promise.all(agents.map((agent) => agent.end()));
  if (name === undefined) return;
  expect(await Promise.all(agents.map((agent) => agent.next()))).toEqual(agents.map(() => undefined));
});

test('an agent that calls itself otherwise than its certificate does is refused', async () => {
  await serve('b1', hello('b2'));
  await start().settled;
  expect(events).toEqual(['failed protocol error: hello: the agent b1 calls itself b2']);
});

test('without TLS an agent may call itself anything', async () => {
  await serve(undefined, hello('b2'));
  await start(false).settled;
  expect(events).toEqual(['up b2']);
});

test('a front without TLS is told that the agent wants it', async () => {
  await serve('b1', hello('b1'));
  await start(false).settled;
  expect(events).toEqual([
    expect.stringMatching(/before its hello: it may want TLS \(control\.tls\), its log says why$/),
  ]);
});

test('an agent that says nothing in the handshake is left', async () => {
  server = createPlain((socket) => void agents.push(new RawPeer(socket)));
  agents = [];
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await start().settled;
  expect(events).toEqual(['failed no hello within 3000 ms']);
  await until(() => agents.every(({ ended }) => ended));
});

test('an agent that ends a front without a word may refuse its certificate', async () => {
  await serve('b1', Buffer.alloc(0));
  server.on('secureConnection', (socket: Socket) => socket.destroy());
  await start().settled;
  expect(events).toEqual([
    expect.stringMatching(/before its hello: it may refuse this front's certificate, its log says why$/),
  ]);
});
