import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { certs } from '../../src/cli/certs';
import { parseAgentConfig, parseFrontConfig } from '../../src/config/load';
import { agentObjection, frontObjection, isTrusted } from '../../src/wire/identity';
import { AGENT, FRONT, configOf } from '../config/texts';

let parent: string;
let directory: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'baton-certs-'));
  directory = join(parent, 'tls');
});

afterEach(() => rmSync(parent, { recursive: true }));

async function run(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const [stdout, stderr] = [new PassThrough({ encoding: 'utf8' }), new PassThrough({ encoding: 'utf8' })];
  const code = await certs(args, { stdout, stderr });
  return {
    code,
    stdout: (stdout.read() as string | null) ?? '',
    stderr: (stderr.read() as string | null) ?? '',
  };
}

const make = (...args: string[]): ReturnType<typeof run> => run('--out', directory, ...args);
const mode = (file: string): string => (statSync(file).mode & 0o777).toString(8);
const read = (name: string): X509Certificate =>
  new X509Certificate(readFileSync(join(directory, `${name}.pem`)));

/** The part of the output for one node, as an operator would paste it. */
function pasted(stdout: string, name: string): string {
  return stdout.split('\n\n').find((part) => part.includes(` of ${name},`)) ?? '';
}

test('makes an authority and nodes that a front and an agent take as they are', async () => {
  const { code, stdout, stderr } = await make('--front', 'front-1', '--agent', 'b1', '--agent=b2');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const names = ['ca', 'front-1', 'b1', 'b2'];
  expect(readdirSync(directory).sort()).toEqual(
    names.flatMap((name) => [`${name}-key.pem`, `${name}.pem`]).sort(),
  );
  expect(mode(directory)).toBe('700');
  for (const name of names) expect(mode(join(directory, `${name}-key.pem`))).toBe('600');
  const ca = read('ca');
  expect([frontObjection(read('front-1'), ['front-1'], 'front-1'), agentObjection(read('b2'), 'b2')]).toEqual(
    [undefined, undefined],
  );
  for (const name of names.slice(1)) expect(isTrusted([read(name)], [ca], Date.now())).toBe(true);
  expect(read('b1').publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' });

  const front = FRONT.replace(/control: .*\n/, `${pasted(stdout, 'front-1')}\n`);
  expect(configOf(parseFrontConfig(front, '/elsewhere/front.yaml')).control.insecure).toBe(false);
  const listen = 'listen: 198.18.0.21:7400';
  const agent = AGENT.replace(/control: .*\n/, `${pasted(stdout, 'b1').replace(/# listen: .*/, listen)}\n`);
  expect(configOf(parseAgentConfig(agent, '/elsewhere/agent.yaml')).control.tls?.allow).toEqual(['front-1']);
});

test('the openssl program finds nothing wrong with them, and tells the roles apart', async () => {
  await make('--front', 'front-1', '--agent', 'b1');
  const verify = (name: string, purpose: string): string => {
    const args = ['verify', '-x509_strict', '-CAfile', 'ca.pem', '-purpose', purpose, `${name}.pem`];
    try {
      return execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' }).toString().trim();
    } catch (error) {
      return String((error as { stderr: Buffer }).stderr);
    }
  };
  expect([verify('front-1', 'sslclient'), verify('b1', 'sslserver')]).toEqual([
    'front-1.pem: OK',
    'b1.pem: OK',
  ]);
  for (const refused of [verify('front-1', 'sslserver'), verify('b1', 'sslclient')])
    expect(refused).toMatch(/unsuitable certificate purpose|unsupported certificate purpose/);
});

test('adds nodes to the authority that is there', async () => {
  await make('--agent', 'b1');
  const ca = readFileSync(join(directory, 'ca.pem'), 'utf8');
  const first = await make('--front', 'front-1');
  const second = await make('--front', '12', '--agent', 'b2');
  expect([first.code, second.code]).toEqual([0, 0]);
  expect(readFileSync(join(directory, 'ca.pem'), 'utf8')).toBe(ca);
  expect(first.stdout.split('\n')[0]).toBe(`# made in ${directory}: front-1.pem, front-1-key.pem`);
  // All fronts that are known here, and not only this time's.
  expect(pasted(second.stdout, 'b2')).toContain('allow: ["12", front-1]');
  expect(isTrusted([read('b2')], [read('ca')], Date.now())).toBe(true);
  const serials = ['ca', 'b1', 'b2', 'front-1', '12'].map((name) => read(name).serialNumber);
  expect(new Set(serials).size).toBe(5);
});

describe('makes nothing at all', () => {
  const everything = (): string[] => readdirSync(parent, { recursive: true, encoding: 'utf8' }).sort();

  test('where a file of that name is there', async () => {
    await make('--agent', 'b1');
    const before = everything();
    const key = readFileSync(join(directory, 'b1-key.pem'), 'utf8');
    rmSync(join(directory, 'b1.pem'));
    await expect(make('--agent', 'b2', '--agent', 'b1')).rejects.toThrow(
      `${directory} has b1-key.pem already: remove what is to be made anew`,
    );
    expect(everything()).toEqual(before.filter((file) => file !== 'tls/b1.pem'));
    expect(readFileSync(join(directory, 'b1-key.pem'), 'utf8')).toBe(key);
  });

  test('where half of the authority is gone', async () => {
    await make('--agent', 'b1');
    rmSync(join(directory, 'ca-key.pem'));
    await expect(make('--agent', 'b2')).rejects.toThrow(`${directory} has ca.pem without its other half`);
  });

  test("where the authority's key is another's", async () => {
    await make('--agent', 'b1');
    writeFileSync(join(directory, 'ca-key.pem'), readFileSync(join(directory, 'b1-key.pem')));
    await expect(make('--agent', 'b2')).rejects.toThrow('is not the key of ca.pem');
    expect(existsSync(join(directory, 'b2.pem'))).toBe(false);
  });

  test('without openssl, and says what to install', async () => {
    const { PATH } = process.env;
    process.env.PATH = parent;
    try {
      await expect(make('--agent', 'b1')).rejects.toThrow(
        'the program openssl is missing: apt-get install openssl',
      );
    } finally {
      process.env.PATH = PATH;
    }
    expect(everything()).toEqual(['tls']);
  });

  test('when openssl fails, and says what it said', async () => {
    const { PATH } = process.env;
    const fake = join(parent, 'openssl');
    writeFileSync(fake, '#!/bin/sh\necho no entropy >&2\nexit 3\n');
    chmodSync(fake, 0o755);
    process.env.PATH = `${parent}:${PATH ?? ''}`;
    try {
      await expect(make('--agent', 'b1')).rejects.toThrow('openssl req: no entropy');
    } finally {
      process.env.PATH = PATH;
    }
    expect(everything()).toEqual(['openssl', 'tls']);
  });
});

test.each<[string[], RegExp]>([
  [[], /^baton certs: --out DIR is missing\nusage: /],
  [['--out', 'x'], /neither --front nor --agent is given/],
  [['--out', '', '--agent', 'b1'], /--out DIR is missing/],
  [['--out', 'x', '--agent'], /argument missing/],
  [['--out', 'x', '--agent', 'ca'], /"ca" is no name for a node/],
  [['--out', 'x', '--agent', 'b1-key'], /"b1-key" is no name/],
  [['--out', 'x', '--agent', '../b1'], /"..\/b1" is no name/],
  [['--out', 'x', '--agent', 'a,DNS:b'], /"a,DNS:b" is no name/],
  [['--out', 'x', '--agent', '.b1'], /".b1" is no name/],
  [['--out', 'x', '--agent', 'b1', '--front', 'b1'], /b1 is given twice/],
  [['--out', 'x', '--agent', 'b1', 'b2'], /Unexpected argument 'b2'/],
  [['--out', 'x', '--server', 'b1'], /Unknown option '--server'/],
])('bad usage: %j', async (args, message) => {
  const { code, stdout, stderr } = await run(...args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toMatch(message);
  expect(stderr).toMatch(/\nusage: baton certs --out DIR/);
});
