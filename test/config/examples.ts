import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { parse } from 'yaml';
import { certs } from '../../src/cli/certs';

export const CONFIG = join(__dirname, '../../config');

const FILES = readdirSync(CONFIG, { withFileTypes: true }).filter((entry) => entry.isFile());

/** The names of the example configurations. */
export const EXAMPLES = FILES.map(({ name }) => name).filter((name) => name.endsWith('.yaml'));

export const isAgent = (name: string): boolean => name.startsWith('agent');

/** What an example holds, as it is written. */
export function readExample(name: string): Record<string, unknown> {
  return parse(readFileSync(join(CONFIG, name), 'utf8')) as Record<string, unknown>;
}

/** A copy of config/ with the certificates and the token that secure.yaml says how to make. */
export class PreparedExamples {
  readonly directory = mkdtempSync(join(tmpdir(), 'baton-examples-'));

  async prepare(): Promise<void> {
    for (const { name } of FILES) copyFileSync(join(CONFIG, name), join(this.directory, name));
    const text = readFileSync(join(CONFIG, 'secure.yaml'), 'utf8');
    const [, options = ''] = /^# +baton certs --out config\/tls (.*)$/m.exec(text) ?? [];
    const args = ['--out', join(this.directory, 'tls'), ...options.split(' ')];
    await certs(args, { stdout: new PassThrough(), stderr: process.stderr });
    writeFileSync(join(this.directory, 'admin.token'), 'a-token-of-some-length\n', { mode: 0o600 });
  }

  file(name: string): string {
    return join(this.directory, name);
  }

  remove(): void {
    rmSync(this.directory, { recursive: true });
  }
}
