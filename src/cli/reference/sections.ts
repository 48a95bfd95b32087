import { anchorOf, cell, code, heading, link, table } from './markdown';

/**
 * What the reference reads of a schema: JSON Schema's own words, and `expected` (config/fields.ts). A value may have several
 * shapes at once: `properties` say what it is as a mapping, `items` what it is as a list.
 */
export interface Described {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly expected?: string;
  readonly default?: string | number | boolean | object;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
  readonly propertyNames?: Described;
  readonly additionalProperties?: Described | false;
}

/** One mapping of a configuration, by the first place where it may stand: `pools.NAME.backends[]`. */
interface Section {
  /** What it is called within its part of the page; the title says which part as well. */
  readonly name: string;
  readonly title: string;
  readonly anchor: string;
  /** Of a heading, 1 being the page's. */
  readonly level: number;
  readonly schema: Described;
  readonly properties: Readonly<Record<string, Described>>;
}

const COLUMNS = ['key', 'value', 'default', 'meaning'];

/** The part of the reference on one kind of configuration: a section for each mapping in it, in the order of the schema. */
export class ConfigSections {
  /** A mapping that may stand in several places is one object in the schema, and has one section. */
  readonly #sections = new Map<Described, Section>();

  /** @param kind what its sections are told apart by from those of the other kind: front, agent. */
  constructor(
    private readonly kind: string,
    schema: Described,
  ) {
    this.#collect(schema, '');
  }

  /** Links to the sections, those of parts below the one of the whole. */
  contents(): string {
    const lines = [...this.#sections.values()].map(
      ({ name, anchor, level }) => `${'  '.repeat(level - 2)}- ${link(name, anchor)}`,
    );
    return lines.join('\n');
  }

  render(): string {
    return [...this.#sections.values()].map((section) => this.#render(section)).join('\n\n');
  }

  #collect(schema: Described, place: string): void {
    const { properties, items, additionalProperties } = schema;
    if (properties && !this.#sections.has(schema)) {
      this.#sections.set(schema, { ...this.#headOf(place), schema, properties });
      for (const [key, value] of Object.entries(properties))
        this.#collect(value, place === '' ? key : `${place}.${key}`);
    }
    if (items) this.#collect(items, `${place}[]`);
    if (additionalProperties) this.#collect(additionalProperties, `${place}.NAME`);
  }

  #headOf(place: string): Pick<Section, 'name' | 'title' | 'anchor' | 'level'> {
    const name = place === '' ? `Keys of ${this.kind}.yaml` : code(place);
    const title = place === '' ? name : `${name} (${this.kind})`;
    // Where a list or a mapping may stand in one place, `x[]` and `x` differ in nothing that an anchor shows: GitHub counts.
    const anchor = anchorOf(title);
    const same = [...this.#sections.values()].filter(({ title }) => anchorOf(title) === anchor).length;
    return { name, title, anchor: same === 0 ? anchor : `${anchor}-${same}`, level: place === '' ? 2 : 3 };
  }

  #render(section: Section): string {
    const { title, level, schema, properties } = section;
    const like = this.#withSameKeys(section);
    const keys = like
      ? `Keys: ${Object.keys(properties).map(code).join(', ')}, as in ${link(like.name, like.anchor)}.`
      : table(
          COLUMNS,
          Object.entries(properties).map(([key, value]) => [
            code(key),
            this.#expected(value),
            defaultOf(value, schema.required?.includes(key) ?? false),
            cell(value.description ?? ''),
          ]),
        );
    return [heading(level, title), schema.description ?? '', keys].join('\n\n');
  }

  /** A section before this one that has described all its keys. */
  #withSameKeys({ schema, properties }: Section): Section | undefined {
    for (const section of this.#sections.values()) {
      if (section.schema === schema) return undefined;
      if (Object.entries(properties).every(([key, value]) => section.properties[key] === value))
        return section;
    }
    return undefined;
  }

  /** What a value may be. */
  #expected(schema: Described): string {
    const { items } = schema;
    const alone = this.#expectedAlone(schema);
    if (!items) return alone ?? 'anything';
    const each = this.#expected(items);
    // An entry of a list is mostly what may stand there without a list.
    if (alone === undefined) return `a list, each ${each}`;
    return items.expected === schema.expected ? `${alone}, or a list` : `${alone}, or a list, each ${each}`;
  }

  /** Likewise without a list; undefined where it has to be one. */
  #expectedAlone(schema: Described): string | undefined {
    const { type, expected, propertyNames, additionalProperties } = schema;
    const section = this.#sections.get(schema);
    if (section) return link(cell(expected ?? 'a mapping'), section.anchor);
    if (expected !== undefined) return cell(expected);
    if (additionalProperties)
      return `a mapping from ${this.#expected(propertyNames ?? {})} to ${this.#expected(additionalProperties)}`;
    return type === 'boolean' ? 'true or false' : undefined;
  }
}

function defaultOf({ default: fallback }: Described, required: boolean): string {
  if (fallback === undefined) return required ? 'required' : '';
  if (typeof fallback !== 'object') return code(String(fallback));
  // A mapping that may be left out since all its keys may be has an empty one, which says nothing to a reader.
  return Object.keys(fallback).length === 0 ? '' : code(JSON.stringify(fallback));
}
