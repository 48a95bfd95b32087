import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { certs } from '../../src/cli/certs';
import { check } from '../../src/cli/check';
import { run as runCommand } from './run';

const EXAMPLES = join(__dirname, '../../config');

const run = (...args: string[]) => runCommand(check, args);

test.each([
  ['front.yaml', 'front, 1 listener, 2 pools, 3 backends'],
  ['routing.yaml', 'front, 1 listener, 3 pools, 3 backends'],
  ['front-dns.yaml', 'front, 1 listener, 2 pools, 0 backends, 2 pools by DNS'],
  ['agent.yaml', 'agent, control 198.18.0.21:7400, 1 VIP'],
  ['agent-app.yaml', 'agent, control 198.18.0.21:7400, 1 VIP'],
])('%s is valid', async (name, summary) => {
  const file = join(EXAMPLES, name);
  expect(await run(file)).toEqual({ code: 0, stdout: `${file}: ok (${summary})\n`, stderr: '' });
});

test.each(['front.yaml', 'agent.yaml'])(
  '%s is valid with the certificates that it speaks of',
  async (name) => {
    const directory = mkdtempSync(join(tmpdir(), 'baton-check-'));
    try {
      const text = readFileSync(join(EXAMPLES, name), 'utf8');
      const [command = ''] =
        /(?<=`baton certs --out config\/tls )[^`]*/.exec(
          readFileSync(join(EXAMPLES, 'front.yaml'), 'utf8'),
        ) ?? [];
      await certs(['--out', join(directory, 'tls'), ...command.split(' ')], {
        stdout: new PassThrough(),
        stderr: new PassThrough(),
      });
      const secured = text
        .replace(/^control: .*insecure.*\n/m, '')
        .replace(/^# (control:.*\n(# {3}.*\n)*)/m, (_all, lines: string) => lines.replace(/^# /gm, ''));
      const file = join(directory, name);
      writeFileSync(file, secured);
      expect(secured).toMatch(/^ *(control: { )?tls: {/m);
      expect(await run(file)).toMatchObject({ code: 0, stderr: '' });
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test('each problem is a line', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-check-'));
  try {
    const file = join(directory, 'agent.yaml');
    writeFileSync(file, 'node: b1\nvips: []\nserve: { upstream: x }\n');
    const { code, stdout, stderr } = await run(file);
    expect(stdout.split('\n')).toEqual([
      `${file}:1:1: key "control" is missing`,
      `${file}:2:7: vips: the list is empty`,
      `${file}:3:20: serve.upstream: "x" is not an http:// URL of host and port alone`,
      '',
    ]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an unreadable file is a problem', async () => {
  const stdout = '/absent.yaml:1:1: cannot read: ENOENT: no such file or directory\n';
  expect(await run('/absent.yaml')).toEqual({ code: 1, stdout, stderr: '' });
});

test.each([[[]], [['a', 'b']], [['--help']], [['']]])('bad usage: %j', async (args) => {
  expect(await run(...args)).toEqual({ code: 2, stdout: '', stderr: 'usage: baton check FILE\n' });
});
