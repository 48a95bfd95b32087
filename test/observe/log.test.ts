import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { transformFileSync } from '@swc/core';
import { createLogger, silentLogger } from '../../src/observe/log';

const ROOT = join(__dirname, '../..');

/** Runs `body` with a real logger in a process of its own, whose stdout is a pipe; returns the lines written. */
function linesOf(body: string, env: Record<string, string> = {}): Record<string, unknown>[] {
  const { code } = transformFileSync(join(ROOT, 'src/observe/log.ts'), {
    jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
    module: { type: 'commonjs' },
  });
  const program = `${code}\nconst log = createLogger({ node: 'b1', component: 'agent' });\n${body}`;
  const run = spawnSync(process.execPath, ['-e', program], {
    cwd: ROOT,
    env: { ...process.env, BATON_LOG_LEVEL: 'info', ...env },
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  expect(run.stderr).toBe('');
  return run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('createLogger', () => {
  test('writes JSON lines with ISO time, level as text, node and component', () => {
    const [line, ...more] = linesOf(`log.debug('hidden'); log.warn({ backend: 'b2' }, 'backend is down');`);
    expect(more).toEqual([]);
    expect(line).toEqual({
      level: 'warn',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string,
      node: 'b1',
      component: 'agent',
      backend: 'b2',
      msg: 'backend is down',
    });
  });

  test('BATON_LOG_LEVEL sets the level', () => {
    const lines = linesOf(`log.debug('seen'); log.trace('hidden');`, { BATON_LOG_LEVEL: 'debug' });
    expect(lines.map(({ msg }) => msg)).toEqual(['seen']);
  });

  test('loses nothing, however the process ends and however much a pipe holds', () => {
    const lines = linesOf(
      `for (let i = 0; i < 2000; i++) log.info({ i, pad: 'x'.repeat(100) }); process.kill(process.pid, 'SIGKILL');`,
    );
    expect(lines.map(({ i }) => i)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
  });

  test('refuses an unknown level with its alternatives', () => {
    expect(() => createLogger({ node: 'n', component: 'front', level: 'loud' })).toThrow(
      'log level "loud" is unknown: set BATON_LOG_LEVEL to one of trace, debug, info, warn, error, fatal, silent',
    );
  });
});

test('silentLogger drops everything', () => {
  const log = silentLogger();
  expect(log.isLevelEnabled('fatal')).toBe(false);
  expect(log.child({ a: 1 }).isLevelEnabled('fatal')).toBe(false);
});
