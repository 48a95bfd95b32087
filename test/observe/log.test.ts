import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createLogger, silentLogger } from '../../src/observe/log';

const ROOT = join(__dirname, '../..');

/** Lets a process of its own require TypeScript. */
const TYPESCRIPT = `
  const { transformFileSync } = require('@swc/core');
  const options = { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } };
  require.extensions['.ts'] = (module, file) => module._compile(transformFileSync(file, options).code, file);
`;

/** Runs `body` with a real logger in a process of its own, whose stdout is a pipe; returns the lines written. */
function linesOf(body: string, env: Record<string, string> = {}): Record<string, unknown>[] {
  const program = `${TYPESCRIPT}
    const { createLogger } = require('./src/observe/log.ts');
    const log = createLogger({ node: 'b1', component: 'agent' });
    ${body}`;
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
      pid: expect.any(Number) as number,
      backend: 'b2',
      msg: 'backend is down',
    });
  });

  test('BATON_LOG_LEVEL sets the level', () => {
    const lines = linesOf(`log.debug('seen'); log.trace('hidden');`, { BATON_LOG_LEVEL: 'debug' });
    expect(lines.map(({ msg }) => msg)).toEqual(['seen']);
  });

  const MANY = `for (let i = 0; i < 2000; i++) log.info({ i, pad: 'x'.repeat(100) });`;

  test.each(['', 'process.exit(0);', `throw Object.assign(new Error('x'), { stack: '' })`])(
    'loses nothing at the end, however much a pipe holds: %j',
    (end) => {
      const lines = linesOf(`process.on('uncaughtException', () => process.exit(1)); ${MANY} ${end}`);
      expect(lines.map(({ i }) => i)).toEqual(Array.from({ length: 2000 }, (_, i) => i));
    },
  );

  test('what a killed process has written has no gap and no torn line', () => {
    const lines = linesOf(`${MANY} process.kill(process.pid, 'SIGKILL');`);
    expect(lines.length).toBeGreaterThan(100);
    expect(lines.map(({ i }) => i)).toEqual(Array.from({ length: lines.length }, (_, i) => i));
  });

  test('two loggers of one process share its output', () => {
    const lines = linesOf(`
      const other = createLogger({ node: 'b2', component: 'agent' });
      for (let i = 0; i < 1000; i++) { log.info({ i, pad: 'x'.repeat(500) }); other.info({ i }); }`);
    expect(lines).toHaveLength(2000);
    expect(process.listenerCount('exit')).toBeLessThan(10);
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
