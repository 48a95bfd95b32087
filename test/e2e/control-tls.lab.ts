/**
 * The control channel with TLS: it carries what it should, nobody else gets past it, and what is revoked is gone while no
 * connection is.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster, type Settings } from '../../src/lab/cluster';
import type { LabProgram } from '../../src/lab/lab-process';
import { VIP4 } from '../../src/lab/topology';
import { amount } from '../soak';
import { Certificates } from '../wire/certificates';
import { ControlPeer, FIRST_PORT, type PeerOptions, type PeerResult } from './control-peer';
import { BackgroundTransfers } from './faults/background-transfers';
import { ClientSockets } from './faults/client-sockets';
import type { RawConnection } from './faults/raw-connection';
import { SteadyLoad, unserved } from './faults/steady-load';
import { countsOf, expectHandedOff, runClient, type LoadResult } from './support';

const MIB = 1024 * 1024;
const LIVE = 40;
const TIMEOUT_MS = 120_000;

let cluster: Cluster;
/** What an agent's configuration has in place of the cluster's own. */
const settings: Record<number, Settings> = {};

function agent(k: number): LabProgram {
  const found = cluster.agents[k - 1];
  if (found === undefined) throw new Error(`no agent ${k}`);
  return found;
}

/** `control` of an agent, with the certificates of a directory and these fronts. */
function agentControl(k: number, changes: Settings = {}): Settings {
  const files = cluster.tlsFiles(`b${k}`);
  const listen = `${cluster.lab.host(`b${k}`).address4}:7400`;
  return { control: { listen, tls: { ...files, allow: ['front-1'], ...changes } } };
}

/** Sends SIGHUP and returns the line of the log about what came of it. */
async function reload(program: LabProgram): Promise<Record<string, unknown>> {
  const isAnswer = (line: string): boolean => /"configuration reloaded"|"reload failed/.test(line);
  const before = program.lines.filter(isAnswer).length;
  program.kill('SIGHUP');
  await cluster.until('a reload', () => Promise.resolve(program.lines.filter(isAnswer).length > before));
  return JSON.parse(program.lines.filter(isAnswer).at(-1) ?? '') as Record<string, unknown>;
}

async function reloadAgent(k: number, control: Settings): Promise<Record<string, unknown>> {
  cluster.writeAgentConfig(k, control);
  return reload(agent(k));
}

interface AgentStatus {
  readonly connections: number;
  readonly prepared: number;
  readonly adoptions: Readonly<Record<string, number>>;
  readonly fronts: readonly { readonly node: string }[];
}

const statusOf = (k: number): Promise<AgentStatus> => cluster.agentApi<AgentStatus>(k, '/v1/status');

/** How many connections each node answered. */
async function ask(connections: readonly RawConnection[]): Promise<Record<string, number>> {
  await Promise.all(connections.map((connection) => connection.get('/who')));
  const counts: Record<string, number> = {};
  for (const { body } of await Promise.all(connections.map((connection) => connection.response()))) {
    const { node } = JSON.parse(body) as { node: string };
    counts[node] = (counts[node] ?? 0) + 1;
  }
  return counts;
}

function connect(sockets: ClientSockets, count: number): Promise<RawConnection[]> {
  return Promise.all(Array.from({ length: count }, () => sockets.connect({ host: VIP4 })));
}

beforeAll(async () => {
  cluster = await Cluster.start({
    app: join(__dirname, 'patient-app.mjs'),
    tls: true,
    // An agent that lets the front in no more is not gone, however long that lasts.
    front: { timeouts: { linger: '500ms', backend_gone: '500ms' } },
    agent: (k) => settings[k] ?? {},
  });
  await cluster.makeCertificates(cluster.tlsDir, ['--front', 'front-2']);
}, 30_000);

afterAll(() => cluster.destroy());

test(
  'bulk transfers go over channels with TLS, every byte of them',
  async () => {
    const before = await countsOf(cluster);
    const count = amount(12, 400);
    for (const direction of ['upload', 'download']) {
      const load = { direction, address: VIP4, count, parallel: 6, bytes: 8 * MIB };
      const result = await runClient<LoadResult>(cluster.client, 'transfers.mjs', load, TIMEOUT_MS);
      expect(result.errors).toEqual([]);
      expect(result.ms).toHaveLength(count);
    }
    process.stdout.write(`  ${2 * count} transfers of 8 MiB, ${2 * count} checksums right, 0 lost\n`);
    await expectHandedOff(cluster, before, 2 * count);
    // One line that says what is not secured, where something is not.
    expect([cluster.front, ...cluster.agents].flatMap(({ lines }) => lines).join()).not.toContain(
      'control.insecure',
    );
  },
  TIMEOUT_MS,
);

describe('whoever is no front', () => {
  const files = (name: string, directory = cluster.tlsDir): Required<PeerOptions>['tls'] =>
    cluster.tlsFiles(name, directory);
  let snapshotsBefore: AgentStatus;
  let attempts = 0;

  beforeAll(async () => {
    await cluster.makeCertificates(join(cluster.lab.dir, 'outsider'), ['--front', 'front-1']);
    const made = new Certificates(cluster.tlsDir);
    made.make('expired', { names: ['front-1'], uses: ['clientAuth'], by: 'ca', days: -1 });
    made.make('roleless', { names: ['front-1'], by: 'ca' });
    // The same offer, from a front: it could be built.
    const peer = await ControlPeer.start(cluster.client, cluster.lab.host('b1'), { tls: files('front-1') });
    expect((await statusOf(1)).prepared).toBe(1);
    expect(await peer.close()).toMatchObject({ greeted: 1, prepared: 1, byes: [] });
    await cluster.until('its offer to be forgotten', async () => (await statusOf(1)).prepared === 0);
    snapshotsBefore = await statusOf(1);
  }, 30_000);

  const CASES: [who: string, options: () => PeerOptions, reason: RegExp, said: boolean][] = [
    ['has no certificate', () => ({}), /the peer has shown no certificate/, true],
    [
      'has one of another authority',
      () => ({ tls: files('front-1', join(cluster.lab.dir, 'outsider')) }),
      /another authority/,
      true,
    ],
    ['has one that has expired', () => ({ tls: files('expired') }), /the certificate has expired/, true],
    ["has an agent's", () => ({ tls: files('b2'), node: 'b2' }), /not made for this role/, true],
    ['has one without a role', () => ({ tls: files('roleless') }), /lacks clientAuth/, true],
    [
      'is not in allow',
      () => ({ tls: files('front-2'), node: 'front-2' }),
      /names DNS:front-2, which is not in control.tls.allow/,
      true,
    ],
    [
      "says another's name",
      () => ({ tls: files('front-1'), node: 'front-2' }),
      /names DNS:front-1, not front-2 as its hello says/,
      true,
    ],
    [
      'speaks TLS 1.2',
      () => ({ tls: files('front-1'), maxVersion: 'TLSv1.2' }),
      /does not speak TLS 1\.3/,
      false,
    ],
    ['speaks no TLS', () => ({ plain: true }), /does not speak TLS:/, false],
  ];

  test.each(CASES)(
    '%s gets nowhere, and both ends say why',
    async (_who, options, reason, said) => {
      const from = agent(1).lines.length;
      const results: PeerResult[] = [];
      // The log has one line a second of a kind; whoever comes in between leaves none.
      await cluster.until('a line in the log', async () => {
        const peer = await ControlPeer.start(cluster.client, cluster.lab.host('b1'), options());
        results.push(await peer.over());
        return agent(1)
          .lines.slice(from)
          .some((line) => line.includes('"channel refused"') && reason.test(line));
      });
      attempts += results.length;
      for (const { greeted, prepared, rejected, byes } of results) {
        expect({ greeted, prepared, rejected }).toEqual({ greeted: 0, prepared: 0, rejected: 0 });
        expect(byes).toEqual(said ? [expect.stringMatching(reason)] : []);
      }
    },
    30_000,
  );

  test('makes the agent build nothing', async () => {
    const { adoptions, prepared, connections } = await statusOf(1);
    expect({ adoptions, prepared, connections }).toEqual({
      adoptions: snapshotsBefore.adoptions,
      prepared: 0,
      connections: 0,
    });
    // The client whose connection was offered.
    const offered = `${cluster.client.address4}:${FIRST_PORT}`;
    const { stdout } = await cluster.lab.host('b1').run(['ss', '-Htan', 'dst', offered]);
    expect(stdout).toBe('');
    // The front has not noticed anything.
    expect(
      agent(1).lines.filter((line) => /"channel closed"/.test(line) && line.includes('"role":"keeper"')),
    ).toEqual([]);
    process.stdout.write(
      `  ${CASES.length} kinds of peers without a right, ${attempts} attempts, 0 offers looked at, 0 connections built\n`,
    );
  });
});

describe('an agent that is another', () => {
  afterAll(async () => {
    settings[2] = {};
    await agent(2).stop();
    await cluster.startAgent(2);
    await cluster.allUp();
  }, 30_000);

  /** Starts what is at the address of b2 in its place, and lets clients come. */
  async function replaceB2(by: Settings): Promise<{ cause: string; served: Record<string, number> }> {
    settings[2] = by;
    await agent(2).stop();
    const from = cluster.front.lines.length;
    await cluster.startAgent(2);
    const isCause = (line: string): boolean =>
      line.includes('cannot be opened') && !line.includes('ECONNREFUSED');
    const said = (): string | undefined => cluster.front.lines.slice(from).find(isCause);
    await cluster.until('the front to say why', () => Promise.resolve(said() !== undefined));
    const sockets = await ClientSockets.start(cluster.client);
    const served = await ask(await connect(sockets, 20));
    await sockets.stop();
    const { adoptions } = await statusOf(2);
    expect(Object.values(adoptions)).toEqual(Object.values(adoptions).map(() => 0));
    return { cause: (JSON.parse(said() ?? '{}') as { cause: string }).cause, served };
  }

  test('by its certificate gets no connection', async () => {
    const { control } = agentControl(2, cluster.tlsFiles('b1'));
    const { cause, served } = await replaceB2({ node: 'b1', control });
    expect({ cause, served }).toEqual({ cause: 'the certificate names DNS:b1, not b2', served: { b1: 20 } });
  }, 30_000);

  test('without TLS gets no connection, and both say why', async () => {
    const listen = `${cluster.lab.host('b2').address4}:7400`;
    const { cause, served } = await replaceB2({ control: { listen, insecure: true } });
    expect(cause).toMatch(/^the peer does not speak TLS/);
    expect(served).toEqual({ b1: 20 });
    await agent(2).waitForLine('the peer speaks TLS, and this side does not', 5_000);
    const warnings = agent(2).lines.filter((line) =>
      line.includes('control.insecure: the control channel is plain TCP'),
    );
    expect(warnings).toHaveLength(1);
  }, 30_000);
});

describe('a reload of an agent', () => {
  let sockets: ClientSockets;
  let live: RawConnection[];
  let transfers: BackgroundTransfers;
  let closed = 0;
  let reloads = 0;

  beforeAll(async () => {
    sockets = await ClientSockets.start(cluster.client);
    live = await connect(sockets, LIVE);
    expect(await ask(live)).toEqual({ b1: LIVE / 2, b2: LIVE / 2 });
    transfers = await BackgroundTransfers.start(cluster.client, VIP4, { downloads: 3, uploads: 3 });
  }, 30_000);

  afterAll(() => sockets.stop());

  async function renew(control: Settings, channels: number): Promise<void> {
    const { msg, channels_closed } = await reloadAgent(1, control);
    expect({ msg, channels_closed }).toEqual({ msg: 'configuration reloaded', channels_closed: channels });
    closed += channels;
    reloads += 1;
  }

  const allLive = async (): Promise<void> => expect(await ask(live)).toEqual({ b1: LIVE / 2, b2: LIVE / 2 });
  const namesOf = async (k: number): Promise<string[]> => (await statusOf(k)).fronts.map(({ node }) => node);

  test('closes the channels of a front that is no longer allowed, with what was prepared there', async () => {
    const channels = 8;
    await renew(agentControl(1, { allow: ['front-1', 'front-2'] }), 0);
    const tls = cluster.tlsFiles('front-2');
    const peer = await ControlPeer.start(cluster.client, cluster.lab.host('b1'), {
      tls,
      node: 'front-2',
      channels,
    });
    const before = await statusOf(1);
    expect(before.prepared).toBe(channels);

    await renew(agentControl(1), channels);
    const reason = 'the certificate names DNS:front-2, which is not in control.tls.allow';
    expect(await peer.over()).toMatchObject({
      greeted: channels,
      prepared: channels,
      byes: Array<string>(channels).fill(reason),
    });
    const after = await statusOf(1);
    expect(after.prepared).toBe(0);
    expect(after.adoptions.channel_lost).toBe((before.adoptions.channel_lost ?? 0) + channels);
    // The front that is allowed has not noticed: the channels are the ones that it had.
    expect(await namesOf(1)).toEqual(['front-1', 'front-1']);
    expect(
      agent(1).lines.filter(
        (line) =>
          /"channel closed"/.test(line) && /"front":"front-1"/.test(line) && /"role":"keeper"/.test(line),
      ),
    ).toEqual([]);
    await allLive();
  }, 30_000);

  test.each<[string, () => Settings]>([
    ['allows another front only', () => ({ allow: ['front-2'] })],
    ['trusts another authority only', () => ({ ca: join(cluster.lab.dir, 'outsider', 'ca.pem') })],
  ])(
    'that %s closes the channels of a running front, and no connection',
    async (_what, changes) => {
      const from = agent(1).lines.length;
      await renew(agentControl(1, changes()), 2);
      await allLive();
      // By then the front has tried for longer than it would wait for a host that is gone.
      const refusals = (): number =>
        agent(1)
          .lines.slice(from)
          .filter((line) => line.includes('channel refused')).length;
      await cluster.until('several attempts', () => Promise.resolve(refusals() >= 2));
      const fresh = await connect(sockets, 10);
      expect(await ask(fresh)).toEqual({ b2: 10 });
      for (const connection of fresh) connection.close();
      await allLive();
      expect(cluster.front.lines.join()).not.toContain('backend host is gone');

      await renew(agentControl(1), 0);
      await cluster.allUp();
      await allLive();
    },
    30_000,
  );

  test.each<[string, () => Settings, RegExp]>([
    [
      'does not fit together',
      () => agentControl(1, { key: cluster.tlsFiles('b2').key }),
      /b1\.yaml:\d+:\d+: control\.tls\.key: the key does not belong/,
    ],
    ['is not there', () => agentControl(1, { ca: '/absent.pem' }), /control\.tls\.ca: .*ENOENT/],
    [
      'asks for more',
      () => ({ ...agentControl(1, { allow: ['front-2'] }), vips: [VIP4] }),
      /vips has changed: that needs a restart/,
    ],
    [
      'gives up security',
      () => ({ control: { listen: `${cluster.lab.host('b1').address4}:7400`, insecure: true } }),
      /control\.insecure has changed: that needs a restart/,
    ],
  ])(
    'that %s changes nothing and says why',
    async (_what, control, reason) => {
      const { msg, cause } = await reloadAgent(1, control());
      expect(msg).toBe('reload failed, the old configuration stays');
      expect(cause).toMatch(reason);
      expect(await namesOf(1)).toEqual(['front-1', 'front-1']);
      await allLive();
      reloads += 1;
    },
    30_000,
  );

  test('has cost no connection', async () => {
    await renew(agentControl(1), 0);
    await allLive();
    const { begun, complete, failed } = await transfers.stop();
    process.stdout.write(
      `  ${reloads} reloads, ${closed} channels closed, ${LIVE} live connections and ${begun} transfers at stake, ` +
        `${failed.length} lost\n`,
    );
    expect({ complete, failed }).toEqual({ complete: begun, failed: [] });
    expect(begun).toBeGreaterThan(0);
    for (const connection of live) connection.close();
  }, 60_000);
});

test(
  'certificates and authority are changed while clients come',
  async () => {
    const next = join(cluster.lab.dir, 'next');
    await cluster.makeCertificates(next, ['--front', 'front-1', '--agent', 'b1', '--agent', 'b2']);
    const both = join(cluster.lab.dir, 'both.pem');
    writeFileSync(
      both,
      ['ca.pem']
        .flatMap((file) =>
          [cluster.tlsDir, next].map((directory) => readFileSync(join(directory, file), 'utf8')),
        )
        .join(''),
    );
    const sockets = await ClientSockets.start(cluster.client);
    const live = await connect(sockets, LIVE);
    const allLive = async (): Promise<void> => {
      const served = await ask(live);
      expect(Object.values(served).reduce((sum, count) => sum + count, 0)).toBe(LIVE);
    };
    await allLive();
    const before = await countsOf(cluster);
    const load = await SteadyLoad.start(cluster.client, { rate: 20, patienceMs: 10_000 });

    let reloads = 0;
    let channels = 0;
    const everywhere = async (directory: string, ca: string): Promise<void> => {
      for (const k of [1, 2]) {
        const { msg, channels_closed } = await reloadAgent(
          k,
          agentControl(k, { ...cluster.tlsFiles(`b${k}`, directory), ca }),
        );
        expect(msg).toBe('configuration reloaded');
        channels += Number(channels_closed);
      }
      cluster.writeFrontConfig({
        timeouts: { linger: '500ms', backend_gone: '500ms' },
        control: { tls: { ...cluster.tlsFiles('front-1', directory), ca } },
      });
      expect(await reload(cluster.front)).toMatchObject({ msg: 'configuration reloaded' });
      reloads += 3;
      await cluster.allUp();
      await allLive();
    };
    const shownBy = async (k: number): Promise<string | undefined> => {
      const peer = await ControlPeer.start(cluster.client, cluster.lab.host(`b${k}`), {
        tls: cluster.tlsFiles('front-2'),
      });
      return (await peer.over()).fingerprint;
    };
    const certificate = (directory: string): string => new Certificates(directory).read('b1').fingerprint256;

    expect(await shownBy(1)).toBe(certificate(cluster.tlsDir));
    await everywhere(cluster.tlsDir, both);
    await everywhere(next, both);
    expect(await shownBy(1)).toBe(certificate(next));
    const expiry = (name: string): number => Date.parse(new Certificates(next).read(name).validTo) / 1000;
    expect([
      await cluster.frontMetric('baton_certificate_expiry_timestamp_seconds'),
      await cluster.agentMetric(1, 'baton_agent_certificate_expiry_timestamp_seconds'),
    ]).toEqual([expiry('front-1'), expiry('b1')]);
    await everywhere(next, join(next, 'ca.pem'));
    // Who still has the old one is a stranger now.
    const old = await ControlPeer.start(cluster.client, cluster.lab.host('b1'), {
      tls: cluster.tlsFiles('front-1'),
    });
    expect(await old.over()).toMatchObject({
      greeted: 0,
      byes: [expect.stringContaining('another authority')],
    });

    const outcomes = await load.stop();
    await allLive();
    process.stdout.write(
      `  ${reloads} reloads to another authority, ${channels} channels closed by agents, ${outcomes.started} connections ` +
        `came and ${LIVE} stayed, ${outcomes.started - outcomes.served} lost (${unserved(outcomes)})\n`,
    );
    expect(outcomes.served).toBe(outcomes.started);
    expect(outcomes.started).toBeGreaterThan(10);
    expect((await countsOf(cluster)).fallbacks).toBe(before.fallbacks);
    for (const connection of live) connection.close();
    await sockets.stop();
    rmSync(next, { recursive: true });
  },
  TIMEOUT_MS,
);
