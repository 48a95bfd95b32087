import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execute } from '../../src/lab/execute';
import { BPFFS, labOf } from '../../src/lab/identity';
import { NETNS_DIR } from '../../src/lab/ip';
import { LabProcess } from '../../src/lab/lab-process';
import { SOAK } from '../soak';

const CLI = join(__dirname, '../../dist/cli.js');
const MIB = 1024 ** 2;
/** A demo takes some 6 s on an idle machine, and shall take less than this on a busy one. */
const TIMEOUT_MS = 40_000;
const POLL_MS = 5;

jest.setTimeout(TIMEOUT_MS);

interface Report {
  ok: boolean;
  routes: { match: string; answered: Record<string, number>; ok: boolean }[];
  client_address: { connections: number; own: number; addresses: number };
  handoff: { accepted: number; count: number; p50_seconds: number; p99_seconds: number };
  relayed_bytes: number;
  front_link_sent_bytes: number;
  download: {
    bytes: number;
    sha256_ok: boolean;
    front_killed_at_bytes: number;
    bytes_without_front: number;
    seconds: number;
  };
  new_front: Record<string, unknown>;
  claims: { name: string; ok: boolean }[];
  seconds: number;
}

/** Handled alike; each costs a whole start. */
const SIGNALS = SOAK ? (['SIGINT', 'SIGTERM', 'SIGHUP'] as const) : (['SIGINT', 'SIGTERM'] as const);

function start(args: readonly string[], env: Record<string, string> = {}): LabProcess {
  return new LabProcess([process.execPath, CLI, 'demo', ...args], { env });
}

/** Whatever is named after labs of this process: namespaces, directories, pins. */
function remainsOf({ pid }: LabProcess): string[] {
  const prefix = `bt${pid.toString(36).padStart(5, '0')}`;
  return [NETNS_DIR, tmpdir(), BPFFS]
    .flatMap((directory) => readdirSync(directory))
    .filter((name) => labOf(name)?.startsWith(prefix));
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

describe('the demo', () => {
  test('measures every claim, as JSON', async () => {
    const demo = start(['--json']);
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    expect(demo.stderrText).toBe('');
    const report = JSON.parse(demo.stdoutText) as Report;

    expect(report.ok).toBe(true);
    expect(report.claims.map(({ name, ok }) => [name, ok])).toEqual([
      ['routes', true],
      ['client address', true],
      ['handoff', true],
      ['download', true],
      ['new front', true],
      ['relayed', true],
    ]);
    expect(report.routes.map(({ answered }) => answered)).toEqual([
      { b1: 6, b2: 0 },
      { b1: 0, b2: 6 },
      { b1: 3, b2: 3 },
    ]);
    expect(report.client_address).toEqual({ connections: 400, own: 400, addresses: 21 });
    const { handoff, download } = report;
    expect(handoff.count).toBe(handoff.accepted);
    expect(handoff.accepted).toBeGreaterThanOrEqual(418);
    expect(handoff.p50_seconds).toBeGreaterThan(0);
    expect(handoff.p99_seconds).toBeGreaterThanOrEqual(handoff.p50_seconds);
    expect(report.relayed_bytes).toBe(0);
    // A front that passed the responses on would have sent all of them.
    expect(report.front_link_sent_bytes).toBeGreaterThan(0);
    expect(report.front_link_sent_bytes).toBeLessThan(download.bytes / 20);
    expect(download).toMatchObject({ bytes: 256 * MIB, sha256_ok: true });
    expect(download.front_killed_at_bytes).toBeGreaterThanOrEqual(96 * MIB);
    expect(download.bytes_without_front).toBeGreaterThanOrEqual(64 * MIB);
    expect(download.front_killed_at_bytes + download.bytes_without_front).toBeLessThan(download.bytes);
    expect(report.new_front).toMatchObject({
      live_flow_kept: true,
      ended_flow_removed: true,
      table_empty_at_end: true,
      connections: 40,
      served: 40,
      handed_off: 40,
    });
    expect(remainsOf(demo)).toEqual([]);
    const [p50, p99] = [handoff.p50_seconds, handoff.p99_seconds].map((seconds) =>
      (seconds * 1e3).toFixed(2),
    );
    process.stdout.write(
      `demo: ${report.seconds.toFixed(1)} s, ${handoff.count} handoffs, p50 ${p50} ms, p99 ${p99} ms, ` +
        `${Math.round(download.bytes_without_front / MIB)} MiB without a front\n`,
    );
  });

  test('fails where a claim does not hold, and says so in a report that fits a terminal', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'baton-demo-'));
    try {
      // The reference to which the download is compared becomes a wrong one.
      const program = `#!/bin/sh\ncat >/dev/null\necho ${'0'.repeat(64)}\n`;
      writeFileSync(join(directory, 'sha256sum'), program, { mode: 0o755 });
      const demo = start([], { PATH: `${directory}:${process.env.PATH ?? ''}` });
      expect(await demo.exited).toEqual({ code: 1, signal: null });
      expect(demo.stdoutText).toMatch(/^FAILED +download +256 MiB in [\d.]+ s, SHA-256 WRONG$/m);
      expect(demo.stdoutText).toMatch(/^FAILED: 1 of 6 claims/m);
      for (const name of ['routes', 'client address', 'handoff', 'new front', 'relayed']) {
        expect(demo.stdoutText).toMatch(new RegExp(`^ok +${name} `, 'm'));
      }
      const lines = demo.stdoutText.split('\n');
      expect(lines.length).toBeLessThanOrEqual(24);
      expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(80);
      // Progress is for terminals.
      expect(demo.stderrText).toBe('');
      expect(remainsOf(demo)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('keeps running on demand, and prints commands that work', async () => {
    const demo = start(['--keep']);
    await demo.waitForLine('the front again', TIMEOUT_MS);
    const requests = linesOf(demo.stdoutText).filter(
      (line) => line.includes(' curl ') && !line.endsWith('&'),
    );
    const results = [];
    for (const line of requests) results.push(await execute(['sh', '-c', line]));
    expect(results.map(({ code }) => code)).toEqual(requests.map(() => 0));
    const answers = results.map(({ stdout }) => stdout);
    expect(answers.slice(0, 3)).toEqual([
      '{"node":"b1","path":"/api/items","client":"198.18.1.1"}',
      '{"node":"b2","path":"/","client":"198.18.1.1"}',
      expect.stringMatching(/^\{"node":"b[12]","path":"\/","client":"2001:2::1:1"\}$/),
    ]);
    const parts = ['"serving":true', '"backends":[', '"flows":[', 'baton_handoffs_total{', '"connections":['];
    expect(answers.slice(3).filter((answer, index) => !answer.includes(parts[index] ?? ''))).toEqual([]);
    expect(answers).toHaveLength(3 + parts.length);
    for (const name of ['routes', 'client address', 'handoff', 'download', 'new front', 'relayed']) {
      expect(demo.stdoutText).toMatch(new RegExp(`^ok +${name} `, 'm'));
    }
    expect(demo.stdoutText).toMatch(/^All 6 claims hold, measured in [\d.]+ s\.$/m);
    expect(demo.stdoutText).not.toContain('FAILED');
    process.stdout.write(`demo --keep: ${requests.length} printed commands work\n`);

    const pid = Number(/^kill -9 (\d+)$/m.exec(demo.stdoutText)?.[1]);
    expect(existsSync(`/proc/${pid}`)).toBe(true);
    demo.kill('SIGINT');
    expect(await demo.exited).toEqual({ code: 0, signal: null });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(remainsOf(demo)).toEqual([]);
  });

  test.each(SIGNALS)('cleans up when %s interrupts it', async (signal) => {
    const demo = start([]);
    while (remainsOf(demo).length === 0) await sleep(POLL_MS);
    demo.kill(signal);
    expect(await demo.exited).toEqual({ code: 1, signal: null });
    expect(demo.stdoutText).toBe('');
    expect(demo.stderrText).toBe(`baton demo: interrupted by ${signal}; all that was made is removed\n`);
    expect(remainsOf(demo)).toEqual([]);
  });
});

describe('what keeps the demo from starting', () => {
  test.each([[['--bad']], [['--json', '--keep']], [['--json', '--json']], [['']], [['x']]])(
    'bad usage: %j',
    async (args) => {
      const demo = start(args);
      expect(await demo.exited).toEqual({ code: 2, signal: null });
      expect(demo.stdoutText).toBe('');
      expect(demo.stderrText).toBe('usage: baton demo [--json|--keep]\n');
    },
  );

  test.each([
    { what: 'no root', wrap: ['unshare', '--user'], says: /needs root/ },
    {
      what: 'the root of a user namespace',
      wrap: ['unshare', '--user', '--map-root-user'],
      says: /user namespace/,
    },
    {
      what: 'a capability dropped',
      wrap: ['setpriv', '--bounding-set', '-net_admin'],
      says: /needs CAP_NET_ADMIN/,
    },
    {
      what: 'no programs',
      wrap: ['env', 'PATH=/nowhere'],
      says: /needs the program ip: apt-get install iproute2/,
    },
    {
      what: 'no bpf file system',
      wrap: ['unshare', '--mount', 'sh', '-c', `umount -l ${BPFFS} && exec "$@"`, 'sh'],
      says: /mount -t bpf bpf/,
    },
  ])('$what: one line that says what to do', async ({ wrap, says }) => {
    const { code, stdout, stderr } = await execute([...wrap, process.execPath, CLI, 'demo']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(linesOf(stderr)).toEqual([expect.stringMatching(/^baton demo: /)]);
    expect(stderr).toMatch(says);
  });
});
