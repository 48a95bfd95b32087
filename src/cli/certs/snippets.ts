import { join } from 'node:path';
import type { NodeName } from './authority';

/** What to paste into each node's configuration: YAML, with the rest in comments. */
export function snippets(directory: string, nodes: readonly NodeName[], fronts: readonly string[]): string {
  return [
    '# A node needs ca.pem and its own two files. ca-key.pem signs further nodes: it belongs on none of them.',
    ...nodes.flatMap((node) => ['', ...snippet(directory, node, fronts)]),
    '',
  ].join('\n');
}

function snippet(directory: string, { name, role }: NodeName, fronts: readonly string[]): string[] {
  const file = (base: string): string => quoted(join(directory, base));
  return [
    `# ${role}.yaml of ${name}, in the place of \`insecure: true\`:`,
    'control:',
    ...(role === 'agent' ? ['  # listen: stays as it is'] : []),
    '  tls:',
    `    ca: ${file('ca.pem')}`,
    `    cert: ${file(`${name}.pem`)}`,
    `    key: ${file(`${name}-key.pem`)}`,
    // Without a list every front of this authority may connect.
    ...(role === 'agent' && fronts.length > 0 ? [`    allow: [${fronts.map(quoted).join(', ')}]`] : []),
  ];
}

/** A plain word stands as it is; JSON's quotes are YAML's too. A name of digits alone would be a number. */
function quoted(text: string): string {
  return /^[A-Za-z/][\w./-]*$/.test(text) ? text : JSON.stringify(text);
}
