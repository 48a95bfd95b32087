/**
 * `npm run bench -- [--only NAME ...] [--against NAME ...] [--rounds N] [--seconds N] [--json FILE] [--svg FILE]`
 *
 * Asks each question of each competitor, in one lab on this machine, and prints a table for each. Needs root.
 */
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench } from './bench';
import { baton } from './competitors/baton';
import { direct } from './competitors/direct';
import { haproxyShipped, haproxyTuned } from './competitors/haproxy';
import { l4Dsr } from './competitors/l4-dsr';
import { nginxShipped, nginxTuned } from './competitors/nginx';
import { plot } from './plot';
import { agentCost } from './questions/agent-cost';
import { heldConnections } from './questions/held-connections';
import { keptAlive } from './questions/kept-alive';
import { latency } from './questions/latency';
import { laterRequests } from './questions/later-requests';
import { moves } from './questions/moves';
import { newConnections } from './questions/new-connections';
import type { Answer } from './questions/question';
import { scale } from './questions/scale';
import { uploads } from './questions/uploads';
import { upstream } from './questions/upstream';

const QUESTIONS = [
  ...keptAlive,
  ...newConnections,
  ...latency,
  ...uploads,
  ...agentCost,
  ...upstream,
  ...heldConnections,
  ...scale,
  ...laterRequests,
  moves,
];
const COMPETITORS = [direct, l4Dsr, baton, haproxyShipped, haproxyTuned, nginxShipped, nginxTuned];

interface Named {
  readonly name: string;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', multiple: true },
      against: { type: 'string', multiple: true },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      json: { type: 'string' },
      svg: { type: 'string' },
    },
  });
  const questions = chosen('--only', QUESTIONS, values.only);
  const competitors = chosen('--against', COMPETITORS, values.against);
  const rounds = wholeNumber('--rounds', values.rounds);
  const seconds = wholeNumber('--seconds', values.seconds);
  const [json, svg] = [openResult(values.json), openResult(values.svg)];

  const versions = Object.fromEntries(
    await Promise.all(competitors.map(async (each) => [each.name, await each.version()] as const)),
  );
  const answers: { readonly name: string; readonly title: string; readonly answer: Answer }[] = [];
  let opened: Promise<Bench> | undefined;
  const context = {
    rounds,
    seconds,
    competitors,
    progress,
    bench: () => (opened ??= Bench.open(competitors)),
  };
  try {
    for (const { name, title, ask } of questions) {
      const answer = await ask(context);
      progress('');
      answers.push({ name, title, answer });
      process.stdout.write(`**${title}**\n\n${answer.table}\n\n`);
    }
  } finally {
    await (await opened)?.close();
  }
  const date = new Date().toISOString().slice(0, 10);
  const machine = `${cpus().length} CPUs, Linux ${release().split('-', 1)[0] ?? ''}, Node ${process.version}`;
  if (json !== undefined) {
    const results = answers.map(({ name, title, answer }) => ({ name, title, data: answer.data }));
    const document = { date, machine, rounds, seconds, versions, results };
    writeFileSync(json, JSON.stringify(document, undefined, 1) + '\n');
  }
  if (svg !== undefined) {
    const caption = `${date}, ${machine}, ${rounds} rounds of ${seconds} s`;
    writeFileSync(
      svg,
      plot(
        answers.flatMap(({ answer }) => answer.bars),
        caption,
      ),
    );
  }
}

/** The file for a result, made now: that it cannot be written should not come out after ten minutes. */
function openResult(file: string | undefined): string | undefined {
  if (file === undefined) return undefined;
  // npm runs scripts in their package's folder, and says where it was called.
  const path = resolve(process.env.INIT_CWD ?? '.', file);
  writeFileSync(path, '');
  return path;
}

function chosen<T extends Named>(
  option: string,
  all: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return all;
  const unknown = names.filter((name) => !all.some((each) => each.name === name));
  if (unknown.length > 0) {
    throw new Error(`${option} ${unknown.join(', ')}: not one of ${all.map(({ name }) => name).join(', ')}`);
  }
  return all.filter(({ name }) => names.includes(name));
}

function wholeNumber(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} ${text}: not a whole number from 1`);
  return value;
}

/** One line that is written over, on a terminal alone. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

main().catch((error: unknown) => {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
