import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Role } from '../wire/identity';
import { Authority, type NodeName } from './certs/authority';
import { snippets } from './certs/snippets';
import { EXIT_DONE, EXIT_USAGE, type Command } from './command';

const USAGE = 'usage: baton certs --out DIR [--front NAME]... [--agent NAME]...\n';

/** What a node may be called, as in the configurations. */
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
/** Names whose files would be those of the authority, or of another node. */
const RESERVED = /^ca$|^\.|-key$/;

/** `baton certs --out DIR [--front NAME]... [--agent NAME]...` */
export const certs: Command = async (args, output) => {
  const wanted = parse(args);
  if (typeof wanted === 'string') {
    output.stderr.write(`baton certs: ${wanted}\n${USAGE}`);
    return EXIT_USAGE;
  }
  const authority = new Authority(wanted.directory);
  const made = await authority.issue(wanted.nodes);
  output.stdout.write(`# made in ${wanted.directory}: ${made.join(', ')}\n`);
  output.stdout.write(snippets(wanted.directory, wanted.nodes, authority.fronts()));
  return EXIT_DONE;
};

/** What the arguments ask for, or what is wrong with them. */
function parse(args: string[]): { directory: string; nodes: NodeName[] } | string {
  const several = { type: 'string', multiple: true } as const;
  try {
    const { values } = parseArgs({
      args,
      options: { out: { type: 'string' }, front: several, agent: several },
    });
    const named = (names: string[] | undefined, role: Role) => (names ?? []).map((name) => ({ name, role }));
    const nodes = [...named(values.front, 'front'), ...named(values.agent, 'agent')];
    if (!values.out) return '--out DIR is missing';
    if (nodes.length === 0) return 'neither --front nor --agent is given';
    return nodesProblem(nodes.map(({ name }) => name)) ?? { directory: resolve(values.out), nodes };
  } catch (error) {
    // Of parseArgs: the first sentence names the option, the others explain how options work.
    return (error as Error).message.split('. ')[0] ?? '';
  }
}

function nodesProblem(names: readonly string[]): string | undefined {
  const odd = names.find((name) => !NAME.test(name) || RESERVED.test(name));
  if (odd !== undefined)
    return `${JSON.stringify(odd)} is no name for a node: 1 to 64 letters, digits, ".", "_" or "-", not "ca" and not "...-key"`;
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  return twice === undefined ? undefined : `${twice} is given twice: a node is either a front or an agent`;
}
