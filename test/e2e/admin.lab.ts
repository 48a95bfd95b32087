import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster } from '../../src/lab/cluster';
import type { Host } from '../../src/lab/host';
import { VIP4 } from '../../src/lab/topology';
import { APP, curl, report } from './support';

/**
 * Who may ask the admin APIs what, with the real programs: the front's on all addresses, the first agent's on loopback,
 * the second one's on a Unix socket.
 */

const OLD_TOKEN = 'token-of-the-first-hour';
const NEW_TOKEN = 'token-of-the-second-hour';
/** What nobody may see, whoever asks; key material is added line by line. */
const secrets = [OLD_TOKEN, NEW_TOKEN, 'too-short'];

let cluster: Cluster;
let frontAdmin = '';
let socket = '';
/** Everything that the programs answered. */
const answers: string[] = [];

beforeAll(async () => {
  // What a program says at its most talkative.
  process.env.BATON_LOG_LEVEL = 'trace';
  cluster = await Cluster.start({
    app: APP,
    token: OLD_TOKEN,
    tls: true,
    front: ({ tokenFile }) => ({ admin: { listen: '0.0.0.0:9180', token_file: tokenFile } }),
    agent: (k, { lab, tokenFile }) =>
      k === 1 ? {} : { admin: { listen: `unix:${join(lab.dir, 'b2.sock')}`, token_file: tokenFile } },
  });
  frontAdmin = `http://${cluster.frontHost.address4}:9180`;
  socket = join(cluster.lab.dir, 'b2.sock');
}, 60_000);

afterAll(() => {
  delete process.env.BATON_LOG_LEVEL;
  return cluster.destroy();
});

/** The status code of a request; what came with it is kept. */
async function status(host: Host, token: string | undefined, ...args: string[]): Promise<number> {
  const authorization = token === undefined ? [] : ['-H', `Authorization: Bearer ${token}`];
  const answer = await curl(host, ['-i', '-w', '\n%{http_code}', ...authorization, ...args]);
  answers.push(answer);
  return Number(answer.slice(answer.lastIndexOf('\n')));
}

/** The codes without a token, with a wrong one and with the right one. */
async function statuses(host: Host, right: string, ...args: string[]): Promise<number[]> {
  const wrong = right === OLD_TOKEN ? NEW_TOKEN : OLD_TOKEN;
  return [
    await status(host, undefined, ...args),
    await status(host, wrong, ...args),
    await status(host, right, ...args),
  ];
}

test('a front on the network answers to the token alone', async () => {
  const { client, frontHost } = cluster;
  const paths = ['/metrics', '/v1/status', '/v1/backends', '/v1/flows', '/nowhere'];
  let refused = 0;
  for (const host of [client, frontHost]) {
    for (const probe of ['/healthz', '/readyz']) {
      expect(await statuses(host, OLD_TOKEN, frontAdmin + probe)).toEqual([200, 200, 200]);
    }
    for (const path of paths) {
      const right = path === '/nowhere' ? 404 : 200;
      expect([path, await statuses(host, OLD_TOKEN, frontAdmin + path)]).toEqual([path, [401, 401, right]]);
      refused += 2;
    }
    expect(await statuses(host, OLD_TOKEN, '-X', 'POST', `${frontAdmin}/v1/reload`)).toEqual([401, 401, 200]);
    refused += 2;
  }
  expect(await cluster.frontMetric('baton_config_reloads_total', { result: 'ok' })).toBe(2);
  const line = await cluster.front.waitForLine('admin request refused', 1000);
  expect(JSON.parse(line)).toMatchObject({ peer: client.address4, path: '/metrics', status: 401 });
  report(`${refused} requests without the token refused, of 2 hosts`);
}, 60_000);

test('loopback is read without the token, but not by a browser, and not written', async () => {
  const b1 = cluster.lab.host('b1');
  const admin = 'http://127.0.0.1:9181';
  for (const path of ['/healthz', '/readyz', '/metrics', '/v1/status', '/v1/connections']) {
    expect(await status(b1, undefined, admin + path)).toBe(200);
  }
  expect(await status(b1, undefined, '-H', 'Host: page.example:9181', `${admin}/v1/connections`)).toBe(403);
  expect(await status(b1, undefined, '-H', 'Origin: http://page.example', `${admin}/v1/status`)).toBe(403);
  // What has no effect on an agent that does not drain.
  expect(await statuses(b1, OLD_TOKEN, '-X', 'POST', `${admin}/v1/ready`)).toEqual([401, 401, 200]);
}, 60_000);

test('a Unix socket is for owner and group, outlives nobody, and kill -9 does no harm', async () => {
  const b2 = cluster.lab.host('b2');
  const at = ['--unix-socket', socket];
  expect((lstatSync(socket).mode & 0o777).toString(8)).toBe('660');
  expect(await status(b2, undefined, ...at, 'http://b2/v1/status')).toBe(200);
  expect(await statuses(b2, OLD_TOKEN, ...at, '-X', 'POST', 'http://b2/v1/ready')).toEqual([401, 401, 200]);
  // A user who is in no group of the agent's.
  const stranger = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];
  const { code } = await b2.run([...stranger, 'curl', '-sS', ...at, 'http://b2/healthz']);
  expect(code).toBe(7);

  const killed = cluster.agents[1];
  killed?.kill('SIGKILL');
  await killed?.exited;
  expect(existsSync(socket)).toBe(true);
  await cluster.startAgent(2);
  await cluster.allUp();
  expect(await status(b2, undefined, ...at, 'http://b2/v1/status')).toBe(200);
}, 60_000);

/** Sends SIGHUP and waits for what the program says of it. */
async function reload(which: 'front' | number, says: string): Promise<void> {
  const program = which === 'front' ? cluster.front : cluster.agents[which - 1];
  if (program === undefined) throw new Error(`there is no agent ${String(which)}`);
  const before = program.lines.length;
  program.kill('SIGHUP');
  await cluster.until(`"${says}"`, () =>
    Promise.resolve(program.lines.slice(before).some((line) => line.includes(says))),
  );
}

test('a rotated token is taken over by a reload, a bad one is not', async () => {
  const { client } = cluster;
  const b1 = cluster.lab.host('b1');
  const b2 = cluster.lab.host('b2');
  const front = [`${frontAdmin}/metrics`];
  const loopback = ['-X', 'POST', 'http://127.0.0.1:9181/v1/ready'];
  const unix = ['--unix-socket', socket, '-X', 'POST', 'http://b2/v1/ready'];

  cluster.writeToken('too-short');
  for (const program of ['front', 1, 2] as const)
    await reload(program, 'reload failed, the old configuration stays');
  const why = `admin.token_file ${cluster.tokenFile}: is not one line of 16 to 1024`;
  for (const { lines } of [cluster.front, ...cluster.agents]) expect(lines.join('\n')).toContain(why);
  expect(await statuses(client, OLD_TOKEN, ...front)).toEqual([401, 401, 200]);

  cluster.writeToken(NEW_TOKEN);
  expect(await statuses(b1, OLD_TOKEN, ...loopback)).toEqual([401, 401, 200]);
  for (const program of ['front', 1, 2] as const) await reload(program, 'configuration reloaded');
  expect(await statuses(client, NEW_TOKEN, ...front)).toEqual([401, 401, 200]);
  expect(await statuses(b1, NEW_TOKEN, ...loopback)).toEqual([401, 401, 200]);
  expect(await statuses(b2, NEW_TOKEN, ...unix)).toEqual([401, 401, 200]);
  await curl(client, [`http://${VIP4}/who`]);
  report('a token rotated in 3 programs, each first with a bad file that changed nothing');
}, 60_000);

/** The lines of a key file but the first and the last. */
function keyLines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.length >= 16 && !line.startsWith('-----'));
}

test('a key that cannot be used fails a reload without being shown', async () => {
  const { key } = cluster.tlsFiles('front-1');
  const text = readFileSync(key, 'utf8');
  const [line = ''] = keyLines(key);
  for (const broken of [
    text.replace(line, line.slice(1)),
    `${line}\n`,
    text.replaceAll('PRIVATE', 'SECRET'),
  ]) {
    writeFileSync(key, broken);
    await reload('front', 'reload failed, the old configuration stays');
  }
  writeFileSync(key, text);
  await reload('front', 'configuration reloaded');
}, 60_000);

test('no answer and no line of any program holds a secret', async () => {
  for (const path of ['/metrics', '/v1/status', '/v1/backends', '/v1/flows']) {
    await status(cluster.client, NEW_TOKEN, frontAdmin + path);
  }
  const b1 = cluster.lab.host('b1');
  for (const path of ['/metrics', '/v1/status', '/v1/connections']) {
    await status(b1, NEW_TOKEN, `http://127.0.0.1:9181${path}`);
  }
  await status(b1, NEW_TOKEN, `http://127.0.0.1:9181/v1/status?token=${NEW_TOKEN}`);
  expect(readFileSync(cluster.tokenFile, 'utf8')).toContain(NEW_TOKEN);

  for (const node of ['front-1', 'b1', 'b2']) secrets.push(...keyLines(cluster.tlsFiles(node).key));
  expect(secrets.length).toBeGreaterThanOrEqual(3 + 3 * 2);
  const programs = [cluster.front, ...cluster.agents];
  await Promise.all(programs.map((program) => program.stop()));
  expect(existsSync(socket)).toBe(false);
  const lines = programs.flatMap((program) => program.lines);
  const said = [...lines, ...answers].join('\n');
  expect(secrets.filter((secret) => said.includes(secret))).toEqual([]);
  expect(said).not.toMatch(/-----BEGIN|PRIVATE KEY/);
  // The search must be able to find something.
  expect(said).toContain('configuration reloaded');
  expect(said).toContain('baton_config_reloads_total');
  report(
    `${lines.length} log lines and ${answers.length} answers searched for ${secrets.length} secrets, none found`,
  );
}, 60_000);

test('an address of the network without a token file is an error, with its place', async () => {
  const file = join(cluster.lab.dir, 'open.yaml');
  const text = readFileSync(cluster.frontConfigFile, 'utf8');
  const config = JSON.parse(text) as Record<string, unknown>;
  writeFileSync(file, JSON.stringify({ ...config, admin: { listen: '0.0.0.0:9180' } }, undefined, 2));
  const cli = join(__dirname, '../../dist/cli.js');
  const { code, stdout, stderr } = await cluster.frontHost.run([process.execPath, cli, 'check', file]);
  expect(code).toBe(1);
  expect(stdout + stderr).toMatch(
    /open\.yaml:\d+:\d+: admin\.listen: others can reach this address: set admin\.token_file/,
  );
});
