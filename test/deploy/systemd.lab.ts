/**
 * Front and agents as deploy/systemd/ has them, with real traffic: users that are not root, the capabilities of the unit
 * files and not one more.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import type { LabProgram } from '../../src/lab/lab-process';
import { VIP4, VIP6 } from '../../src/lab/topology';
import { IPPROTO_TCP, setOption, TCP_REPAIR } from '../../src/kernel/socket';
import { ClientSockets } from '../e2e/faults/client-sockets';
import type { RawConnection } from '../e2e/faults/raw-connection';
import { flowsOf } from '../e2e/faults/remains';
import { countsOf, expectHandedOff, report, runClient, type LoadResult } from '../e2e/support';
import { NODE, OTHER_UID, PROJECT, withPrivileges } from '../lab/unprivileged';
import { amount } from '../soak';
import { exactly, privilegesOf } from './privileges';
import type { Service } from './service';
import { Services } from './services';

const APP = `${PROJECT}/test/e2e/app.mjs`;
const PIN = '/run/baton/bpf/front';
const START_MS = 40_000;
const TIMEOUT_MS = 120_000;
const MIB = 1024 * 1024;
const GONE_MS = 2_000;
/** Until the channel's silence is noticed (5 s), the host is given up, and a neighbour was asked (3 s). */
const TOLD_WITHIN_MS = 20_000;

describe('as unprivileged services', () => {
  let cluster: Cluster;
  let services: Services;
  let sockets: ClientSockets;

  const common = {
    steering: { interface: 'eth0', pin: PIN, max_flows: 65_536 },
    timeouts: { linger: '500ms', backend_gone: `${GONE_MS}ms` },
  };

  beforeAll(async () => {
    services = new Services();
    const front = (lab: Cluster) => ({ ...common, ...pools(lab) });
    cluster = await Cluster.start({ app: APP, tls: true, front, command: services.command });
    sockets = await ClientSockets.start(cluster.client);
  }, START_MS);

  afterAll(async () => {
    await sockets.stop();
    await cluster.destroy();
  });

  function pools(lab: Cluster, backends: readonly number[] = [1, 2]): Record<string, unknown> {
    return { pools: { web: { backends: backends.map((k) => lab.backend(k)) } } };
  }

  function service(host: Host): Promise<Service> {
    return services.of(host.name.startsWith('f') ? 'front' : 'agent', host, cluster.lab.dir);
  }

  test('they are who the unit files say, and may do no more', async () => {
    const programs: [LabProgram, Host][] = [
      [cluster.front, cluster.frontHost],
      ...cluster.agents.map((agent, index): [LabProgram, Host] => [agent, cluster.lab.host(`b${index + 1}`)]),
    ];
    let threads = 0;
    for (const [program, host] of programs) {
      const { uid, capabilities } = await service(host);
      const found = privilegesOf(program.pid);
      expect(found).toEqual(found.map(() => exactly(uid, capabilities)));
      threads += found.length;
    }
    const counts = await Promise.all(
      programs.map(async ([, host]) => (await service(host)).capabilities.length),
    );
    expect(counts).toEqual([3, 2, 2]);
    report(`3 programs, ${threads} threads: users, groups and 5 capability sets as in the unit files`);
  });

  test('they say how they freeze, and raise their own limit of descriptors', () => {
    const line = (program: LabProgram | undefined, text: string): Record<string, unknown> =>
      JSON.parse(program?.lines.find((one) => one.includes(text)) ?? '{}') as Record<string, unknown>;
    const hard = mostFiles(cluster.front.pid);
    expect(hard).toBeGreaterThan(1024);
    expect(line(cluster.front, 'front is serving')).toMatchObject({ files: hard });
    expect(line(cluster.agents[0], 'agent is serving')).toMatchObject({
      freeze_filter: expect.stringMatching(/^classic/) as string,
      because: expect.stringContaining('CAP_BPF is missing') as string,
    });
    expect(cluster.agents.flatMap(({ lines }) => lines.filter((one) => one.includes('"error"')))).toEqual([]);
  });

  test('an agent sets the sysctls and the VIPs that it needs, and can write nothing else', async () => {
    const done = cluster.agents.map(
      ({ lines }) => lines.filter((one) => one.includes('"manage_vips"')).length,
    );
    // Three sysctls and two VIPs.
    expect(done).toEqual([5, 5]);
    const host = cluster.lab.host('b1');
    const agent = await service(host);
    const write = (path: string): Promise<number> => writeAs(agent, host, path);
    for (const path of ['/proc/sys/net/ipv4/tcp_tw_reuse', '/run/baton-agent/x', '/tmp/x']) {
      expect({ path, code: await write(path) }).toEqual({ path, code: 0 });
    }
    for (const path of [
      '/proc/sys/kernel/domainname',
      '/opt/etc/agent.yaml',
      '/usr/x',
      '/etc/x',
      '/var/x',
      '/run/x',
    ]) {
      expect({ path, code: await write(path) }).toEqual({ path, code: 1 });
    }
  });

  test.each([
    { family: 'IPv4', address: VIP4 },
    { family: 'IPv6', address: VIP6 },
  ])(
    'transfers over $family are handed off',
    async ({ family, address }) => {
      const before = await countsOf(cluster);
      const [count, bytes] = [amount(20, 200), 8 * MIB];
      for (const direction of ['upload', 'download']) {
        const load = { direction, address, count, parallel: 4, bytes };
        const { errors, ms } = await runClient<LoadResult>(cluster.client, 'transfers.mjs', load, TIMEOUT_MS);
        expect({ errors, complete: ms.length }).toEqual({ errors: [], complete: count });
      }
      await expectHandedOff(cluster, before, 2 * count);
      report(`${family}: ${2 * count} transfers of 8 MiB handed off, checksums right, 0 lost`);
    },
    TIMEOUT_MS,
  );

  test(
    'a changed configuration is read, and old connections give way to new ones of the same port',
    async () => {
      await reload([1]);
      const ports = Array.from({ length: amount(20, 200) }, (_, k) => 40_000 + k);
      for (const port of ports) await vanish(await answered(port));
      const old = await established();
      expect(old).toBe(ports.length);
      const again = await Promise.all(ports.map(answered));
      // Each new one has destroyed the old one of its addresses.
      expect(await established()).toBe(ports.length);
      expect(await cluster.frontMetric('baton_handoffs_total', { backend: 'b1', result: 'rejected' })).toBe(
        0,
      );
      for (const connection of again) connection.close();
      await reload([1, 2]);
      report(
        `${ports.length} ports used again over a live old connection: ${again.length} answered, 0 rejected`,
      );
    },
    TIMEOUT_MS,
  );

  test(
    'a killed front takes its pins up again, and no transfer ends',
    async () => {
      const script = join(__dirname, '../e2e/faults/transfers.mjs');
      const [downloads, uploads] = [4, 2];
      const counts = [downloads, uploads, 64 * MIB].map(String);
      const transfers = cluster.client.spawn([process.execPath, script, VIP4, ...counts]);
      await transfers.waitForLine('paused', 30_000);
      const flows = await flowsOf(cluster);
      expect(flows).toBeGreaterThanOrEqual(downloads + uploads);
      cluster.front.kill('SIGKILL');
      await cluster.front.exited;
      await cluster.startFront();
      await cluster.allUp();
      expect(await flowsOf(cluster)).toBeGreaterThanOrEqual(downloads + uploads);
      transfers.kill('SIGUSR2');
      const line = await transfers.waitForLine('"complete"', 30_000);
      expect(JSON.parse(line)).toEqual({ complete: downloads + uploads, failed: [] });
      report(`front killed and started again: ${downloads + uploads} transfers of 64 MiB right, 0 lost`);
    },
    TIMEOUT_MS,
  );

  test(
    'an agent ends in order and comes back',
    async () => {
      const [agent] = cluster.agents;
      agent?.kill('SIGTERM');
      expect(await agent?.exited).toEqual({ code: 0, signal: null });
      await cluster.startAgent(1);
      await cluster.allUp();
      const nodes = await Promise.all(Array.from({ length: 10 }, async () => who(await answeredAnywhere())));
      expect(new Set(nodes)).toEqual(new Set(['b1', 'b2']));
    },
    TIMEOUT_MS,
  );

  test('what the front has pinned is closed to every other user, the agent included', async () => {
    const front = await service(cluster.frontHost);
    const open = `try { require('${PROJECT}/dist/kernel/bpf').openPinned('${PIN}/flows'); console.log('open'); }
      catch (error) { console.log(error.message); }`;
    const as = async (uid: number, argv: readonly string[]): Promise<string> => {
      const capabilities = ['CAP_BPF', 'CAP_NET_ADMIN'];
      const { stdout, stderr } = await cluster.frontHost.run(
        front.inside(withPrivileges({ uid, capabilities }, argv)),
      );
      return (stdout + stderr).trim();
    };
    expect(await as(front.uid, [NODE, '-e', open])).toBe('open');
    const names = 'backend_names\nbackends\ndrops\nflows\nprogram';
    expect(await as(front.uid, ['ls', PIN])).toBe(names);
    const agent = (await service(cluster.lab.host('b1'))).uid;
    for (const uid of [agent, OTHER_UID]) {
      expect(await as(uid, [NODE, '-e', open])).toMatch(/^open pinned .*: EACCES /);
      expect(await as(uid, ['ls', PIN])).toMatch(/Permission denied$/);
    }
    const modes = await cluster.frontHost.run(front.inside(['sh', '-c', `stat -c %a ${PIN} ${PIN}/*`]));
    expect(modes.stdout.trim().split('\n')).toEqual(['700', '600', '600', '600', '600', '600']);
  });

  test(
    'an agent without CAP_NET_BIND_SERVICE says so, and its port 80 is served by another',
    async () => {
      await cluster.agents[0]?.stop();
      services.without = ['CAP_NET_BIND_SERVICE'];
      const agent = await cluster.startAgent(1);
      const line = agent.lines.find((one) => one.includes('VIP ports below 1024'));
      expect(line).toContain(
        'CAP_NET_BIND_SERVICE is missing: grant with AmbientCapabilities=CAP_NET_BIND_SERVICE ',
      );
      await cluster.allUp();
      const nodes = await Promise.all(Array.from({ length: 10 }, async () => who(await answeredAnywhere())));
      expect(new Set(nodes)).toEqual(new Set(['b2']));
      expect(agent.lines.some((one) => one.includes('not_permitted'))).toBe(true);
    },
    TIMEOUT_MS,
  );

  test(
    'a front asks its neighbours, and tells the clients of a host that is gone',
    async () => {
      const front = await service(cluster.frontHost);
      const { address4 } = cluster.lab.host('b2');
      const ask = `
      const alive = setInterval(() => undefined, 1000);
      require('${PROJECT}/dist/steer/neighbour').neighbourAnswers('${address4}').then((yes) => {
        console.log(yes);
        clearInterval(alive);
      });`;
      const asked = async (capabilities: readonly string[]): Promise<string> => {
        const argv = front.inside(withPrivileges({ uid: front.uid, capabilities }, [NODE, '-e', ask]));
        return (await cluster.frontHost.run(argv)).stdout.trim();
      };
      expect(await asked(front.capabilities)).toBe('true');
      const waiting = await Promise.all(Array.from({ length: 10 }, answeredAnywhere));
      expect(new Set(await Promise.all(waiting.map(who)))).toEqual(new Set(['b2']));
      await cluster.lab.host('b2').run(['ip', 'link', 'set', 'eth0', 'down']);
      const ends = await Promise.all(waiting.map((connection) => connection.ended(TOLD_WITHIN_MS)));
      expect(ends).toEqual(waiting.map(() => 'RST'));
      report(`a host that is gone: ${ends.length} of its ${waiting.length} clients reset`);
    },
    TIMEOUT_MS,
  );

  async function reload(backends: readonly number[]): Promise<void> {
    cluster.writeFrontConfig({ ...common, ...pools(cluster, backends) });
    (await service(cluster.frontHost)).install(cluster.frontConfigFile);
    const before = await cluster.frontMetric('baton_config_reloads_total', { result: 'ok' });
    cluster.front.kill('SIGHUP');
    await cluster.until(
      'a reload',
      async () => (await cluster.frontMetric('baton_config_reloads_total', { result: 'ok' })) > before,
    );
  }

  async function answered(localPort: number): Promise<RawConnection> {
    const connection = await sockets.connect({ host: VIP4, localPort });
    await connection.get('/who');
    expect(await connection.response()).toMatchObject({ status: 200 });
    return connection;
  }

  async function answeredAnywhere(): Promise<RawConnection> {
    const connection = await sockets.connect({ host: VIP4 });
    await connection.get('/who');
    return connection;
  }

  async function who(connection: RawConnection): Promise<string> {
    return (JSON.parse((await connection.response()).body) as { node: string }).node;
  }

  /** The client's end goes without a word, so that the other one knows nothing. */
  async function vanish({ socket }: RawConnection): Promise<void> {
    const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
    expect(setOption(fd, IPPROTO_TCP, TCP_REPAIR, 1)).toBe(0);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()).destroy());
  }

  /** Connections of the client with backend 1's VIP. */
  async function established(): Promise<number> {
    const argv = ['ss', '-Htn', 'state', 'established', 'src', `${VIP4}:80`];
    const { stdout } = await cluster.lab.host('b1').run(argv);
    return stdout.split('\n').filter((line) => line !== '').length;
  }
});

/** The hard limit of open files of a process. */
function mostFiles(pid: number): number {
  const limits = readFileSync(`/proc/${pid}/limits`, 'latin1');
  return Number(/^Max open files\s+\d+\s+(\d+)/m.exec(limits)?.[1]);
}

async function writeAs(service: Service, host: Host, path: string): Promise<number> {
  const { uid, capabilities } = service;
  const argv = withPrivileges({ uid, capabilities }, ['sh', '-c', `echo 1 > ${path}`]);
  const { code } = await host.run(service.inside(argv));
  return code === 0 ? 0 : 1;
}
