import { join } from 'node:path';
import { explain } from '../../src/cli/explain';
import { run as runCommand } from './run';

const FILE = join(__dirname, '../../config/routing.yaml');

const run = (...args: string[]) => runCommand(explain, args);

test('says which route matches, which do not and why, and the backends', async () => {
  const asked = [
    '--config',
    FILE,
    '--host',
    'nowhere.example',
    '--path',
    '/a/../b?x=1',
    '--client',
    '198.18.1.1',
  ];
  const { code, stdout, stderr } = await run(...asked);
  expect([code, stderr]).toEqual([0, '']);
  const lines = stdout.split('\n');
  expect(lines[0]).toBe('GET nowhere.example/a/../b?x=1 from 198.18.1.1');
  expect(lines[1]).toBe('  routes compare /b');
  expect(lines[2]).toMatch(/^ {2}routes\[0\] does not match: \S/);
  expect(stdout).toMatch(/^(goes to pool|refused with 404)/m);
});

test('as JSON for machines', async () => {
  const { code, stdout } = await run('--config', FILE, '--json', '--header', 'X-A: 1', '--header', 'X-B: 2');
  const explanation = JSON.parse(stdout) as Record<string, unknown>;
  expect(code).toBe(0);
  expect(explanation).toMatchObject({ request: { method: 'GET', path: '/', headers: ['X-A: 1', 'X-B: 2'] } });
  expect(Object.keys(explanation)).toEqual(expect.arrayContaining(['route', 'outcome', 'pools', 'routes']));
});

test.each<[string, string[], number, RegExp]>([
  ['no configuration', [], 2, /--config FILE is missing\nusage:/],
  ['an unknown option', ['--config', FILE, '--hots', 'a'], 2, /Unknown option '--hots'\nusage:/],
  ['no address', ['--config', FILE, '--client', 'me'], 2, /not an IP address: me/],
  ['no such file', ['--config', `${FILE}x`], 1, /routing\.yamlx/],
])('%s', async (_what, args, code, message) => {
  const result = await run(...args);
  expect([result.code, result.stdout]).toEqual([code, '']);
  expect(result.stderr).toMatch(message);
});

test('of a listener without heads its name and the client decide', async () => {
  const file = join(__dirname, '../../config/tcp.yaml');
  const asked = (client: string) => run('--config', file, '--listener', 'echo', '--client', client);
  const { code, stdout } = await asked('198.18.1.1');
  expect([code, stdout.split('\n')[0]]).toEqual([0, 'a connection to echo from 198.18.1.1']);
  expect(stdout).toMatch(/^goes to pool echo\npool echo: maglev by client, which is b[12]$/m);
  expect((await asked('10.0.0.1')).stdout).toMatch(/^reset: the route leads to no pool$/m);
  expect((await run('--config', file, '--listener', 'nowhere')).stderr).toMatch(
    /there is no listener "nowhere"/,
  );
});
