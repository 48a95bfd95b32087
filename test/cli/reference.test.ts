import type { TSchema } from '@sinclair/typebox';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reference } from '../../src/cli/reference';
import { ConfigSections, type Described } from '../../src/cli/reference/sections';
import { integer, listOf, mapOf, mapping, oneOrMore, text } from '../../src/config/fields';
import { AGENT_SCHEMA, FRONT_SCHEMA } from '../../src/config/schema';
import { ADMIN_PATHS } from '../../src/observe/admin-paths';
import { CATALOGUE, METRIC_PREFIX } from '../../src/observe/catalogue';
import { keysOf } from '../config/keys';

const PAGE = join(__dirname, '../../config/REFERENCE.md');

/** Names of the headings of a page in links, by GitHub's rule: titles that give the same name are counted. */
function anchorsIn(page: string): string[] {
  const counts = new Map<string, number>();
  return [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => {
    const kept = title.toLowerCase().match(/[\p{L}\p{N}_ -]/gu) ?? [];
    const name = kept.join('').split(' ').join('-');
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return count === 0 ? name : `${name}-${count}`;
  });
}

function linksIn(page: string): string[] {
  return [...page.matchAll(/\]\(#([^)]*)\)/g)].map(([, anchor = '']) => anchor);
}

function expectSoundLinks(page: string): void {
  const anchors = anchorsIn(page);
  expect(new Set(anchors).size).toBe(anchors.length);
  expect(linksIn(page).filter((link) => !anchors.includes(link))).toEqual([]);
}

/** The first cell of each row of a page's tables. */
function keysIn(page: string): string[] {
  return [...page.matchAll(/^\| `([^`]*)` \|/gm)].map(([, key = '']) => key);
}

describe('the reference page', () => {
  const page = reference();

  test('in config/ is the one that the schema and the tables make: npm run reference', () => {
    expect(readFileSync(PAGE, 'utf8')).toBe(`${page}\n`);
  });

  test('has a heading for each link', () => {
    expectSoundLinks(page);
    expect(linksIn(page).length).toBeGreaterThan(50);
  });

  test('has the description of every key, metric and path', () => {
    const schemas = [FRONT_SCHEMA, AGENT_SCHEMA] as Described[];
    const keys = schemas.flatMap((schema) => [...keysOf(schema)]);
    const helps = [
      ...keys.map(({ schema }) => schema.description ?? ''),
      ...Object.values(CATALOGUE)
        .flat()
        .flatMap(({ name, help }) => [`\`${METRIC_PREFIX}${name}\``, help]),
      ...Object.values(ADMIN_PATHS)
        .flat()
        .flatMap(({ path, help }) => [`\`${path}\``, help]),
    ];
    expect(helps.filter((help) => !page.includes(help))).toEqual([]);
    expect(keys.length).toBeGreaterThan(80);
  });
});

describe('the sections of any schema', () => {
  /** A mapping of keys k0, k1 and so on, no two of which have the same name. */
  const schemas = fc.gen().map((gen) => {
    let keys = 0;
    const TEXT = text('Text.', 'a text', {});
    const anyMapping = (depth: number): TSchema => {
      const names = Array.from({ length: gen(fc.integer, { min: 1, max: 4 }) }, () => `k${keys++}`);
      return mapping('Mapping.', Object.fromEntries(names.map((name) => [name, anyValue(depth + 1)])));
    };
    const leaves = [TEXT, integer('Number.', 1, 9, 3), oneOrMore('Texts.', TEXT)];
    const shapes: ((depth: number) => TSchema)[] = [
      () => gen(fc.constantFrom<TSchema[]>, ...leaves),
      anyMapping,
      (depth) => listOf('List.', anyMapping(depth)),
      (depth) => mapOf('Map.', TEXT, anyMapping(depth)),
      (depth) => ({ ...anyMapping(depth), ...listOf('List or mapping.', anyMapping(depth)) }),
    ];
    const anyValue = (depth: number): TSchema => {
      const index = depth > 3 ? 0 : gen(fc.nat, shapes.length - 1);
      return shapes[index]?.(depth) ?? TEXT;
    };
    return { schema: anyMapping(0), keys };
  });

  test('have each key once, and a heading for each link', () => {
    fc.assert(
      fc.property(schemas, ({ schema, keys }) => {
        const sections = new ConfigSections('any', schema);
        const page = `${sections.contents()}\n\n${sections.render()}`;
        expect(keysIn(page).sort()).toEqual(Array.from({ length: keys }, (_, k) => `k${k}`).sort());
        expectSoundLinks(page);
        expect(page).not.toMatch(/undefined|anything|\[object/);
      }),
    );
  });

  test('a mapping with keys of another one is described there', () => {
    const key = text('Text with a | bar, *.SUFFIX and `*.SUFFIX`.', 'a text', {});
    const schema = mapping('Whole.', { a: key, part: mapping('Part.', { a: key }) }) as Described;
    expect(new ConfigSections('any', schema).render()).toBe(
      [
        '## Keys of any.yaml',
        'Whole.',
        [
          '| key | value | default | meaning |',
          '|---|---|---|---|',
          '| `a` | a text | required | Text with a \\| bar, \\*.SUFFIX and `*.SUFFIX`. |',
          '| `part` | [a mapping](#part-any) | required | Part. |',
        ].join('\n'),
        '### `part` (any)',
        'Part.',
        'Keys: `a`, as in [Keys of any.yaml](#keys-of-anyyaml).',
      ].join('\n\n'),
    );
  });
});
