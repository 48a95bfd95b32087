import { execute, type Result } from '../../src/lab/execute';

let made = 0;

/** A network namespace with its loopback up, for as long as `body` runs; programs are started in it with `run`. */
export async function withNamespace<T>(body: (namespace: Namespace) => Promise<T>): Promise<T> {
  const namespace = new Namespace(`bt-test-${process.pid}-${++made}`);
  await expectSuccess(['ip', 'netns', 'add', namespace.name]);
  try {
    await namespace.ip('link', 'set', 'lo', 'up');
    return await body(namespace);
  } finally {
    await expectSuccess(['ip', 'netns', 'del', namespace.name]);
  }
}

export class Namespace {
  constructor(readonly name: string) {}

  /** Runs `ip` in it. */
  async ip(...args: string[]): Promise<void> {
    await expectSuccess(['ip', '-n', this.name, ...args]);
  }

  /** Runs a Node program in it and reads the lines of JSON that it prints. */
  async run<T>(program: string, ...args: string[]): Promise<T[]> {
    const { stdout } = await expectSuccess(
      ['nsenter', `--net=/run/netns/${this.name}`, '--', process.execPath, program, ...args],
      60_000,
    );
    return stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as T);
  }
}

async function expectSuccess(argv: readonly string[], timeoutMs = 10_000): Promise<Result> {
  const result = await execute(argv, { timeoutMs });
  if (result.code !== 0) {
    throw new Error(`${argv.join(' ')}: exit ${result.code}\n${result.stdout}\n${result.stderr}`);
  }
  return result;
}
