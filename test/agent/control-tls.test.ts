/** An agent's control port with TLS: who has a channel, and who keeps it when the configuration changes. */
import { connect, type TLSSocket } from 'node:tls';
import { makeFlow } from '../../src/kernel/flow';
import * as frames from '../../src/wire/frames';
import { encodeFrontHello } from '../../src/wire/hello';
import { until } from '../kernel/pair';
import { makeSnapshot } from '../repair/snapshots';
import { Certificates } from '../wire/certificates';
import { frame, idPayload, RawPeer } from '../wire/raw-peer';
import { AgentParts, CONTROL } from './agent-parts';

const certificates = new Certificates().makeCluster();
certificates.make('front-2', { names: ['front-2'], uses: ['clientAuth'], by: 'ca' });
certificates.make('other', { isAuthority: true });

let agent: AgentParts;
let fronts: RawPeer[];

beforeEach(async () => {
  fronts = [];
  agent = new AgentParts(undefined, Infinity, { insecure: false, tls: certificates.tls('b1') });
  await agent.control.listen(CONTROL);
});

afterEach(() => {
  for (const { socket } of fronts) socket.destroy();
  agent.close();
});

afterAll(() => certificates.remove());

const OFFER = frame(
  frames.OFFER,
  Buffer.concat([idPayload(7, 1), makeSnapshot({ flow: makeFlow('198.18.1.1', 40_000, '198.19.0.1', 80) })]),
);

function dial(certificate: string, node: string, ...more: Buffer[]): RawPeer {
  const socket: TLSSocket = connect({
    ...{ host: CONTROL.host, port: CONTROL.port, rejectUnauthorized: false },
    ...certificates.credentials(certificate),
  });
  const front = new RawPeer(socket);
  fronts.push(front);
  return front.send(frame(frames.HELLO, encodeFrontHello({ role: 'offers', node })), ...more);
}

/** The agent's answer, with a text for the frames that have one. */
async function answer(front: RawPeer): Promise<[number | undefined, string]> {
  const { type, payload } = (await front.next()) ?? {};
  return [type, type === frames.BYE ? String(payload) : ''];
}

async function open(certificate: string): Promise<RawPeer> {
  const front = dial(certificate, certificate);
  expect(await answer(front)).toEqual([frames.HELLO, '']);
  return front;
}

test('an offer is looked at when certificate and hello agree, and not before', async () => {
  const front = dial('front-1', 'front-1', OFFER);
  expect(await answer(front)).toEqual([frames.HELLO, '']);
  // The VIP is not one of this agent's.
  expect(await answer(front)).toEqual([frames.REJECTED, '']);
  expect(agent.adopter.results.rejected).toBe(1);

  const other = dial('front-2', 'front-1', OFFER);
  const objection = 'the certificate names DNS:front-2, not front-1 as its hello says';
  expect(await answer(other)).toEqual([frames.BYE, objection]);
  await other.end();
  expect(agent.adopter.results.rejected).toBe(1);
  expect(agent.log.map(({ msg, cause }) => [msg, cause])).toContainEqual([
    'channel refused',
    `protocol error: ${objection}`,
  ]);
  expect(agent.control.fronts().map(({ node }) => node)).toEqual(['front-1']);
});

describe('other certificates and another list of fronts', () => {
  test('close the channels of those alone that may not come again', async () => {
    const [staying, leaving, another] = [await open('front-1'), await open('front-2'), await open('front-2')];
    expect(agent.control.renew(certificates.tls('b1', ['front-1']))).toBe(2);
    const objection = 'the certificate names DNS:front-2, which is not in control.tls.allow';
    for (const front of [leaving, another]) expect(await answer(front)).toEqual([frames.BYE, objection]);
    expect(agent.control.fronts().map(({ node }) => node)).toEqual(['front-1']);
    // The one that stays is heard as before.
    staying.send(OFFER);
    expect(await answer(staying)).toEqual([frames.REJECTED, '']);
    expect(await answer(dial('front-2', 'front-2'))).toEqual([frames.BYE, objection]);
    expect(agent.control.renew(certificates.tls('b1'))).toBe(0);
    await open('front-2');
  });

  test('of another authority close all', async () => {
    await open('front-1');
    await open('front-2');
    const pem = { ...certificates.credentials('b1'), ca: certificates.text('other.pem') };
    expect(agent.control.renew({ ...certificates.tls('b1'), pem })).toBe(2);
    expect(agent.control.fronts()).toEqual([]);
    await until(() => fronts.every(({ ended }) => ended));
  });

  test('that are of no use change nothing', async () => {
    const front = await open('front-1');
    const pem = { ...certificates.credentials('b1'), key: certificates.text('other-key.pem') };
    expect(() => agent.control.renew({ ...certificates.tls('b1', ['front-2']), pem })).toThrow(
      'key values mismatch',
    );
    expect(agent.control.fronts()).toHaveLength(1);
    front.send(OFFER);
    expect(await answer(front)).toEqual([frames.REJECTED, '']);
  });
});

test('an agent without TLS does not take it while running', () => {
  const plain = new AgentParts();
  expect(() => plain.control.renew(certificates.tls('b1'))).toThrow('needs a restart');
  plain.close();
});
