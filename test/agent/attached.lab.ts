/** An agent inside a program: what it takes over while it runs. */
import { once } from 'node:events';
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { Agent } from '../../src/agent/agent';
import { attach, reload } from '../../src/agent/index';
import { silentLogger } from '../../src/observe/log';
import * as frames from '../../src/wire/frames';
import { encodeFrontHello } from '../../src/wire/hello';
import { Certificates } from '../wire/certificates';
import { frame, RawPeer } from '../wire/raw-peer';
import { CONTROL, VIP } from './agent-parts';

const certificates = new Certificates().makeCluster();
const directory = mkdtempSync(join(tmpdir(), 'attached-'));
let agent: Agent;

beforeAll(async () => {
  agent = await attach((_request, response) => response.end(), config(), { logger: silentLogger() });
});

afterAll(async () => {
  await agent.stop();
  certificates.remove();
  rmSync(directory, { recursive: true });
});

function config(changes: object = {}, tls: object = {}): object {
  const { ca, cert, key } = certificates.tls('b1');
  const listen = `${CONTROL.host}:${CONTROL.port}`;
  return {
    node: 'b1',
    control: { listen, tls: { ca, cert, key, allow: ['front-1'], ...tls } },
    vips: [VIP],
    access_log: { to: { file: join(directory, 'access.log') } },
    ...changes,
  };
}

async function open(): Promise<RawPeer> {
  const { host, port } = CONTROL;
  const socket = connect({ host, port, rejectUnauthorized: false, ...certificates.credentials('front-1') });
  const front = new RawPeer(socket);
  await once(socket, 'secureConnect');
  return front.send(frame(frames.HELLO, encodeFrontHello({ role: 'offers', node: 'front-1' })));
}

test('an access log, whose file it opens anew, but not whether there is one', async () => {
  const front = await open();
  const { details } = JSON.parse((await front.next())?.payload.toString() ?? '') as { details?: boolean };
  expect(details).toBe(true);
  await front.send(frame(frames.BYE, 'done')).end();
  expect(readdirSync(directory)).toEqual(['access.log']);
  const log = join(directory, 'access.log');
  renameSync(log, join(directory, 'moved.log'));
  reload(agent, config());
  expect(readdirSync(directory)).toEqual(['access.log', 'moved.log']);
  reload(agent, config({ access_log: { to: { file: join(directory, 'other.log') }, sample: 0 } }));
  expect(readdirSync(directory)).toEqual(['access.log', 'moved.log', 'other.log']);
  expect(() => reload(agent, config({ access_log: undefined }))).toThrow(
    'access_log has changed: that needs a restart',
  );
  const absent = join(directory, 'absent', 'access.log');
  expect(() => reload(agent, config({ access_log: { to: { file: absent } } }))).toThrow(
    /access_log\.to\.file: there is no directory/,
  );
  await expect(
    attach(() => undefined, config({ access_log: { to: { file: '/proc/self/access.log' } } })),
  ).rejects.toThrow('open access_log /proc/self/access.log: ');
});

test('the fronts that may connect', async () => {
  const front = await open();
  expect((await front.next())?.type).toBe(frames.HELLO);
  expect(reload(agent, config())).toBe(0);
  expect(() => reload(agent, config({ vips: ['198.19.0.9'] }, { allow: ['front-2'] }))).toThrow(
    'vips has changed: that needs a restart',
  );
  expect(() => reload(agent, config({}, { allow: ['front-2'], ca: '/absent' }))).toThrow(
    /control\.tls\.ca: .*ENOENT/,
  );
  expect(agent.control.fronts()).toHaveLength(1);
  expect(reload(agent, config({}, { allow: ['front-2'] }))).toBe(1);
  expect((await front.next())?.type).toBe(frames.BYE);
  await front.end();
});

test('an agent for connections without a head needs no server', async () => {
  const listen = `${CONTROL.host}:${CONTROL.port + 1}`;
  const plain = { node: 'b2', control: { listen, insecure: true }, vips: [VIP] };
  await expect(attach(undefined, plain)).rejects.toThrow(
    'attach: neither an application nor options.tcp is given, so nobody would serve',
  );
  const alone = await attach(undefined, plain, { tcp: { adopt: () => undefined }, logger: silentLogger() });
  expect(alone.serving).toBe(true);
  await alone.stop();
  expect(alone.serving).toBe(false);
});
