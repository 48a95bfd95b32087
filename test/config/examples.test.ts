import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Described } from '../../src/cli/reference/sections';
import { loadConfig } from '../../src/config/load';
import { AGENT_SCHEMA, FRONT_SCHEMA } from '../../src/config/schema';
import { CONFIG, EXAMPLES, isAgent, PreparedExamples, readExample } from './examples';
import { keysOf, usesIn } from './keys';
import { configOf } from './texts';

/** What no example shows: the place of a key, with `=VALUE` for one of its values, and the reason. */
const EXEMPT: Readonly<Record<string, string>> = {
  'listeners[].protocol=tls': 'not available in this version',
  'pools.NAME.health.tls.insecure': 'it would be copied',
};

interface Choice extends Described {
  readonly enum?: readonly unknown[];
}

const schemaOf = (name: string): Described => (isAgent(name) ? AGENT_SCHEMA : FRONT_SCHEMA) as Described;

describe('the examples', () => {
  const prepared = new PreparedExamples();
  beforeAll(() => prepared.prepare());
  afterAll(() => prepared.remove());

  test.each(EXAMPLES)('%s is valid', (name) => {
    expect(configOf(loadConfig(prepared.file(name))).kind).toBe(isAgent(name) ? 'agent' : 'front');
  });

  test.each(EXAMPLES)('%s begins with what it shows and the commands that try it', (name) => {
    const [comment = ''] = /^(# .*\n)+/.exec(readFileSync(join(CONFIG, name), 'utf8')) ?? [];
    const commands = [...comment.replaceAll('\n# ', ' ').matchAll(/`baton (check|front|agent) ([^`]*)`/g)];
    expect(commands.map(([, command, args]) => [command, args])).toEqual([
      ['check', `config/${name}`],
      [isAgent(name) ? 'agent' : 'front', `--config config/${name}`],
    ]);
  });

  test('show every key of the schema, and each of the words that one may have', () => {
    const uses = EXAMPLES.flatMap((name) => [...usesIn(readExample(name), schemaOf(name))]);
    const used = new Set(uses.map(([schema]) => schema));
    const keys = [FRONT_SCHEMA, AGENT_SCHEMA].flatMap((schema) => [...keysOf(schema as Described)]);
    const missing = keys.flatMap(({ place, schema }) => {
      if (!used.has(schema)) return [place];
      const words = (schema as Choice).enum?.filter((word) => typeof word === 'string') ?? [];
      const shown = uses.filter(([of]) => of === schema).map(([, value]) => value);
      return words.filter((word) => !shown.includes(word)).map((word) => `${place}=${word}`);
    });
    expect(missing.sort()).toEqual(Object.keys(EXEMPT).sort());
  });
});
