import { parseArgs } from 'node:util';
import { loadFrontConfig } from '../config/load';
import { formatProblems } from '../config/problems';
import { USUAL, type Question } from '../front/asked-request';
import { Explainer, type Explanation } from '../front/explanation';
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, type Command } from './command';

const USAGE = `usage: baton explain --config FILE [--host HOST] [--path PATH] [--method METHOD]
                     [--header 'NAME: VALUE']... [--client ADDRESS]
                     [--listener NAME] [--json]
`;

/** `baton explain`: says where a request would go by a configuration, without asking whether the backends are up. */
export const explain: Command = (args, output) => {
  const wanted = parse(args);
  if (typeof wanted === 'string') {
    output.stderr.write(`baton explain: ${wanted}\n${USAGE}`);
    return Promise.resolve(EXIT_USAGE);
  }
  const loaded = loadFrontConfig(wanted.file);
  if (!loaded.ok) {
    output.stderr.write(
      formatProblems(wanted.file, loaded.problems)
        .map((line) => `${line}\n`)
        .join(''),
    );
    return Promise.resolve(EXIT_FAILED);
  }
  let explanation: Explanation;
  try {
    explanation = new Explainer(loaded.config).explain(wanted.question, (_pool, { weight }) =>
      weight > 0 ? { candidate: true, why: `weight ${weight}` } : { candidate: false, why: 'weight 0' },
    );
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    output.stderr.write(`baton explain: ${error.message}\n`);
    return Promise.resolve(EXIT_USAGE);
  }
  output.stdout.write(wanted.json ? `${JSON.stringify(explanation, undefined, 2)}\n` : inWords(explanation));
  return Promise.resolve(EXIT_DONE);
};

/** What the arguments ask for, or what is wrong with them. */
function parse(args: string[]): { file: string; question: Question; json: boolean } | string {
  const one = { type: 'string' } as const;
  try {
    const { values } = parseArgs({
      args,
      options: {
        config: one,
        host: one,
        path: one,
        method: one,
        header: { type: 'string', multiple: true },
        client: one,
        listener: one,
        json: { type: 'boolean' },
      },
    });
    const { config: file = '', header: headers = USUAL.headers, json = false, ...rest } = values;
    if (file === '') return '--config FILE is missing';
    return { file, question: { ...USUAL, ...rest, headers }, json };
  } catch (error) {
    // Of parseArgs: the first sentence names the option, the others explain how options work.
    return (error as Error).message.split('. ')[0] ?? '';
  }
}

function inWords(explanation: Explanation): string {
  const { request, protocol, path, outcome, routes, omitted, pools, edits } = explanation;
  const { method, host, client, listener } = request;
  const asked = protocol === 'tcp' ? `a connection to ${listener}` : `${method} ${host}${request.path}`;
  const lines = [`${asked} from ${client}`];
  if (path !== undefined && path !== request.path.replace(/\?.*/, '')) lines.push(`  routes compare ${path}`);
  if (omitted > 0) lines.push(`  (${omitted} routes are not listed)`);
  for (const { route, verdict, why } of routes) lines.push(`  routes[${route}] ${verdict}: ${why}`);
  lines.push(outcome);
  if (edits?.path !== undefined) lines.push(`  path becomes ${edits.path}`);
  for (const [name, value] of Object.entries(edits?.set ?? {})) lines.push(`  sets ${name}: ${value}`);
  for (const name of edits?.removed ?? []) lines.push(`  removes ${name}`);
  for (const { pool, balance, hashed, backends } of pools) {
    lines.push(`pool ${pool}: ${balance}${hashed === undefined ? '' : `, which is ${hashed}`}`);
    for (const { name, candidate, why } of backends)
      lines.push(`  ${name} ${candidate ? 'takes' : 'does not take'} it: ${why}`);
  }
  return `${lines.join('\n')}\n`;
}
