#!/usr/bin/env node
import { agent } from './cli/agent';
import { certs } from './cli/certs';
import { check } from './cli/check';
import type { Command } from './cli/command';
import { EXIT_FAILED, EXIT_USAGE } from './cli/command';
import { demo } from './cli/demo';
import { front } from './cli/front';

const COMMANDS: Readonly<Record<string, { readonly run: Command; readonly help: string }>> = {
  front: { run: front, help: '--config FILE   run a front in the foreground' },
  agent: { run: agent, help: '--config FILE   run an agent in the foreground' },
  check: { run: check, help: 'FILE            validate a configuration' },
  certs: { run: certs, help: '--out DIR --front NAME --agent NAME   make test certificates' },
  demo: { run: demo, help: '[--json|--keep]  show in network namespaces that the job works' },
};

/** What `baton help` prints. */
export function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { help }]) => `  baton ${name.padEnd(6)} ${help}`);
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
    return await command.run(args, { stdout: process.stdout, stderr: process.stderr });
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
