import { resolve } from 'node:path';
import { certificatesIn, isValidAt } from '../wire/identity';
import type { Path, ProblemReport } from './problems';
import { readText } from './read';
import type { FrontInput } from './schema';

/**
 * Reads the files of `health.tls.ca`, and reports at its key what is wrong with one: no check could succeed with it, and
 * every backend would go down. PEM texts by pool, of those that are sound.
 */
export function readAuthorities(
  { pools }: Pick<FrontInput, 'pools'>,
  directory: string,
  report: ProblemReport,
): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const [pool, { health }] of Object.entries(pools)) {
    const ca = health?.tls?.ca;
    if (ca === undefined) continue;
    const text = readSound(resolve(directory, ca), ['pools', pool, 'health', 'tls', 'ca'], report);
    if (text !== undefined) texts.set(pool, text);
  }
  return texts;
}

function readSound(path: string, at: Path, report: ProblemReport): string | undefined {
  const file = JSON.stringify(path);
  const loaded = readText(path);
  if (!loaded.ok) {
    report.add(at, `${file}: ${loaded.problems[0]?.message ?? 'cannot read'}`);
    return undefined;
  }
  const objection = objectionTo(loaded.config, file);
  if (objection !== undefined) report.add(at, objection);
  return loaded.config;
}

function objectionTo(text: string, file: string): string | undefined {
  try {
    const authorities = certificatesIn(text);
    if (authorities.length === 0) return `there is no certificate in PEM in ${file}`;
    const now = Date.now();
    if (authorities.some((authority) => isValidAt(authority, now))) return undefined;
    return `no certificate in ${file} is valid today`;
  } catch (error) {
    return `the certificate in ${file} cannot be read: ${(error as Error).message}`;
  }
}
