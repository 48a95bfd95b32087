#!/usr/bin/env node
import type * as agent from './cli/agent';
import type * as certs from './cli/certs';
import type * as check from './cli/check';
import type { Command } from './cli/command';
import { EXIT_FAILED, EXIT_USAGE } from './cli/command';
import type * as demo from './cli/demo';
import type * as explain from './cli/explain';
import type * as front from './cli/front';
import type * as move from './cli/move';

/*
 * A command is loaded when it is run, since `front` and `agent` bring libraries that others need not wait for. By `require`:
 * `import()` would have Node read each file a second time, to tell its exports, which costs 0.3 s of CPU with a bundle.
 */
/* eslint-disable @typescript-eslint/no-require-imports */
const COMMANDS: Readonly<Record<string, { readonly load: () => Command; readonly help: string }>> = {
  front: {
    load: () => (require('./cli/front') as typeof front).front,
    help: '--config FILE   run a front in the foreground',
  },
  agent: {
    load: () => (require('./cli/agent') as typeof agent).agent,
    help: '--config FILE   run an agent in the foreground',
  },
  check: {
    load: () => (require('./cli/check') as typeof check).check,
    help: 'FILE            validate a configuration',
  },
  explain: {
    load: () => (require('./cli/explain') as typeof explain).explain,
    help: '--config FILE [--host H] [--path P] ...   say where a request would go',
  },
  move: {
    load: () => (require('./cli/move') as typeof move).move,
    help: '--config FILE --flow F [--to BACKEND]   move one live connection to another backend',
  },
  certs: {
    load: () => (require('./cli/certs') as typeof certs).certs,
    help: '--out DIR --front NAME --agent NAME   make test certificates',
  },
  demo: {
    load: () => (require('./cli/demo') as typeof demo).demo,
    help: '[--json|--keep]  show in network namespaces that the job works',
  },
};
/* eslint-enable @typescript-eslint/no-require-imports */

/** What `baton help` prints. */
export function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { help }]) => `  baton ${name.padEnd(7)} ${help}`);
  return ['usage:', ...lines, ''].join('\n');
}

async function main(): Promise<number> {
  const [name = '', ...args] = process.argv.slice(2);
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(usage());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    process.stderr.write(
      name === '' ? usage() : `baton: unknown command ${JSON.stringify(name)}\n${usage()}`,
    );
    return EXIT_USAGE;
  }
  try {
    return await command.load()(args, { stdout: process.stdout, stderr: process.stderr });
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`baton ${name}: ${message}\n`);
    return EXIT_FAILED;
  }
}

// The reference page asks for the usage alone.
if (require.main === module) {
  void main().then((code) => {
    process.exitCode = code;
  });
}
