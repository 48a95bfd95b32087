import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { INSECURE_WARNING } from '../../../src/config/control';
import { execute, type Result } from '../../../src/lab/execute';
import { Lab } from '../../../src/lab/lab';
import { VIP4 } from '../../../src/lab/topology';

/** A front that cannot start says why in one line, the last, ends with the right code, and leaves nothing behind. */

/** What a front says on its way, as far as it comes; nothing else may stand beside the reason. */
const BEFORE: readonly unknown[] = [INSECURE_WARNING, 'admin API is listening'];

const CLI = join(__dirname, '../../../dist/cli.js');

let lab: Lab;

beforeAll(async () => (lab = await Lab.create({ backends: 1 })), 30_000);
afterAll(() => lab.destroy());

type Settings = Record<string, unknown>;

function writeConfig(changes: Settings): string {
  const file = join(lab.dir, 'front.yaml');
  writeFileSync(file, JSON.stringify({ ...defaults(), ...changes }, undefined, 2));
  return file;
}

function defaults(): Settings {
  return {
    node: 'front-1',
    listeners: [{ name: 'web', bind: `${VIP4}:80`, protocol: 'http' }],
    routes: [{ pool: 'web' }],
    pools: poolsVia('198.18.0.21'),
    steering: { interface: 'eth0', pin: lab.pin },
    control: { insecure: true },
  };
}

function poolsVia(via: string): Settings {
  return { web: { backends: [{ name: 'b1', agent: '198.18.0.21:7400', via }] } };
}

function front(file: string): Promise<Result> {
  return lab.host('f1').run([process.execPath, CLI, 'front', '--config', file]);
}

/** Ports and addresses that the cases need taken, and a route through a gateway. */
beforeAll(async () => {
  const f1 = lab.host('f1');
  const script = `
    const net = require('node:net');
    net.createServer().listen(81, '${VIP4}');
    net.createServer().listen(9199, '127.0.0.1', () => console.log('taken'));
  `;
  await f1.spawn([process.execPath, '-e', script]).waitForLine('taken', 10_000);
  const added = await f1.run(['ip', 'route', 'add', '203.0.113.0/24', 'via', '198.18.0.21']);
  expect(added.code).toBe(0);
}, 30_000);

describe('a front that cannot start', () => {
  test.each<[string, () => Settings, RegExp]>([
    [
      'an interface that is missing',
      () => ({ steering: { interface: 'nope0', pin: lab.pin } }),
      /no interface nope0/,
    ],
    [
      'a pin outside bpffs',
      () => ({ steering: { interface: 'eth0', pin: wrongPin() } }),
      /not in a bpf file system/,
    ],
    [
      'a next hop behind a gateway',
      () => ({ pools: poolsVia('203.0.113.5') }),
      /via 203\.0\.113\.5: not on-link/,
    ],
    ['a next hop without a route', () => ({ pools: poolsVia('192.0.2.1') }), /via 192\.0\.2\.1: no route/],
    [
      'a next hop that is the front',
      () => ({ pools: poolsVia('198.18.0.11') }),
      /via 198\.18\.0\.11: is an address/,
    ],
    [
      'a VIP that is elsewhere',
      () => ({ listeners: [{ name: 'web', bind: '198.19.0.77:80', protocol: 'http' }] }),
      /bind 198\.19\.0\.77:80: EADDRNOTAVAIL/,
    ],
    [
      'a port that is taken',
      () => ({ listeners: [{ name: 'web', bind: `${VIP4}:81`, protocol: 'http' }] }),
      /(bind|listen) 198\.19\.0\.1:81: EADDRINUSE/,
    ],
    [
      'an admin port that is taken',
      () => ({ admin: { listen: '127.0.0.1:9199' } }),
      /127\.0\.0\.1:9199.*EADDRINUSE/,
    ],
  ])(
    'because of %s says so in one line',
    async (_name, changes, cause) => {
      const { code, stdout, stderr } = await front(writeConfig(changes()));
      expect(stderr).toBe('');
      const lines = stdout.trim().split('\n');
      expect(JSON.parse(lines.pop() ?? '')).toMatchObject({
        level: 'fatal',
        msg: 'front failed',
        cause: expect.stringMatching(cause) as string,
      });
      const said = lines.map((line) => (JSON.parse(line) as Settings).msg);
      expect(said).toEqual(BEFORE.slice(0, said.length));
      expect(stdout).not.toContain('    at ');
      expect(code).toBe(1);
      expect(await leftBehind()).toEqual({ pins: [], filters: '' });
    },
    20_000,
  );
});

async function leftBehind(): Promise<Settings> {
  const { stdout } = await lab.host('f1').run(['tc', 'filter', 'show', 'dev', 'eth0', 'ingress']);
  return { pins: [lab.pin, wrongPin()].filter((path) => existsSync(path)), filters: stdout.trim() };
}

/** One case's remains are not the next one's. */
afterEach(async () => {
  for (const path of [lab.pin, wrongPin()]) rmSync(path, { recursive: true, force: true });
  await lab.host('f1').run(['tc', 'qdisc', 'del', 'dev', 'eth0', 'clsact']);
});

function wrongPin(): string {
  return join(lab.dir, 'pin');
}

test('problems of a configuration come one a line, each with its place', async () => {
  const file = join(lab.dir, 'bad.yaml');
  writeFileSync(
    file,
    'node: front-1\nlisteners:\n  - { name: web, bind: nowhere, protocol: htpp }\nrutes: []\n',
  );
  const { code, stdout, stderr } = await front(file);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  const lines = stderr.trim().split('\n');
  for (const line of lines) expect(line).toMatch(/^[^:]+bad\.yaml:\d+:\d+: \S/);
  const places = lines.map((line) =>
    line
      .slice(file.length + 1)
      .split(':')
      .slice(0, 2)
      .join(':'),
  );
  expect(places).toEqual(expect.arrayContaining(['3:24', '3:43', '4:1']));
  process.stdout.write(`  ${lines.length} problems of a configuration, each with its line and column\n`);
});

test('a file that is missing is a problem, bad usage is another', async () => {
  const missing = join(lab.dir, 'missing.yaml');
  const unread = await front(missing);
  expect(unread.code).toBe(1);
  expect(unread.stderr).toMatch(/^[^\n]+missing\.yaml:\d+:\d+: [^\n]+\n$/);
  const usages = [
    [],
    ['front'],
    ['front', '--config'],
    ['front', missing],
    ['front', '--config', 'a', 'b'],
    ['nothing'],
  ];
  for (const args of usages) {
    const { code, stderr, stdout } = await execute([process.execPath, CLI, ...args]);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toContain('usage:');
    expect(stderr).not.toContain('    at ');
  }
}, 20_000);
