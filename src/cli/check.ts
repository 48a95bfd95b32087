import { formatEndpoint } from '../config/addresses';
import { loadConfig } from '../config/load';
import type { AgentConfig, FrontConfig } from '../config/model';
import { formatProblems } from '../config/problems';

interface CheckStreams {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
}

const USAGE = 'usage: baton check FILE\n';

/**
 * `baton check FILE`: says on stdout what a configuration holds, or one line per problem.
 * Resolves to the exit code: 0 valid, 1 problems (an unreadable file is one), 2 bad usage.
 */
export function check(args: string[], { stdout, stderr }: CheckStreams): Promise<number> {
  const [file] = args;
  if (!file || args.length > 1 || file.startsWith('-')) {
    stderr.write(USAGE);
    return Promise.resolve(2);
  }
  const loaded = loadConfig(file);
  const lines = loaded.ok
    ? [`${file}: ok (${summary(loaded.config)})`]
    : formatProblems(file, loaded.problems);
  stdout.write(lines.map((line) => `${line}\n`).join(''));
  return Promise.resolve(loaded.ok ? 0 : 1);
}

function summary(config: FrontConfig | AgentConfig): string {
  return config.kind === 'front' ? frontSummary(config) : agentSummary(config);
}

function frontSummary({ listeners, pools }: FrontConfig): string {
  // A backend may be in several pools; its name is its identity.
  const backends = new Set(pools.flatMap((pool) => pool.backends.map(({ name }) => name)));
  const discovered = pools.filter(({ discovery }) => discovery !== undefined).length;
  const counts = [
    count(listeners.length, 'listener'),
    count(pools.length, 'pool'),
    count(backends.size, 'backend'),
    ...(discovered > 0 ? [`${count(discovered, 'pool')} by DNS`] : []),
  ];
  return ['front', ...counts].join(', ');
}

function agentSummary({ control, vips }: AgentConfig): string {
  return ['agent', `control ${formatEndpoint(control.listen)}`, count(vips.length, 'VIP')].join(', ');
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
