import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { loadFrontConfig } from '../config/load';
import type { AdminConfig } from '../config/model';
import { formatProblems } from '../config/problems';
import { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, type Command } from './command';

const USAGE = `usage: baton move --config FILE --flow CLIENT:PORT>VIP:PORT [--to BACKEND] [--json]
`;
/** Longer than a front waits for a connection that is busy. */
const TIMEOUT_MS = 15_000;

/** `baton move`: has the front of a configuration move one live connection, by its admin API on this host. */
export const move: Command = async (args, output) => {
  const wanted = parse(args);
  if (typeof wanted === 'string') {
    output.stderr.write(`baton move: ${wanted}\n${USAGE}`);
    return EXIT_USAGE;
  }
  const loaded = loadFrontConfig(wanted.file);
  if (!loaded.ok) {
    const lines = formatProblems(wanted.file, loaded.problems).map((line) => `${line}\n`);
    output.stderr.write(lines.join(''));
    return EXIT_FAILED;
  }
  const { flow, to, json } = wanted;
  const { status, body } = await post(loaded.config.admin, '/v1/flows/move', { flow, ...(to && { to }) });
  if (json) output.stdout.write(`${JSON.stringify(body)}\n`);
  if (status === 200) {
    if (!json) output.stdout.write(`${flow} is served by ${body.backend ?? '?'} now\n`);
    return EXIT_DONE;
  }
  output.stderr.write(`baton move: ${body.error ?? `the front answers ${status}`}\n`);
  return EXIT_FAILED;
};

interface Wanted {
  readonly file: string;
  readonly flow: string;
  readonly to: string | undefined;
  readonly json: boolean;
}

/** What the arguments ask for, or what is wrong with them. */
function parse(args: string[]): Wanted | string {
  const one = { type: 'string' } as const;
  try {
    const options = { config: one, flow: one, to: one, json: { type: 'boolean' } } as const;
    const { config: file = '', flow = '', to, json = false } = parseArgs({ args, options }).values;
    if (file === '') return '--config FILE is missing';
    if (flow === '') return '--flow CLIENT:PORT>VIP:PORT is missing: GET /v1/flows has them';
    return { file, flow, to, json };
  } catch (error) {
    // Of parseArgs: the first sentence names the option, the others explain how options work.
    return (error as Error).message.split('. ')[0] ?? '';
  }
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, string>>;
}

/** Throws an Error that names where the front was looked for. */
async function post({ listen, token_file }: AdminConfig, path: string, body: unknown): Promise<Answer> {
  const where = 'socket' in listen ? listen.socket : `${listen.host}:${listen.port}`;
  const address =
    'socket' in listen ? { socketPath: listen.socket } : { host: listen.host, port: listen.port };
  const token = token_file === undefined ? '' : readFileSync(token_file, 'utf8').trim();
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${token}` };
  const response = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const asked = request({ ...address, path, method: 'POST', headers, timeout: TIMEOUT_MS }, (answer) => {
      text(answer).then((read) => resolve({ status: answer.statusCode ?? 0, text: read }), reject);
    });
    asked.on('timeout', () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    asked.on('error', (cause: Error) =>
      reject(new Error(`ask the front at ${where} (admin.listen): ${cause.message}`, { cause })),
    );
    asked.end(JSON.stringify(body));
  });
  return { status: response.status, body: JSON.parse(response.text) as Answer['body'] };
}
