import type { Described } from '../../src/cli/reference/sections';

/** A key of the schema by the place where it stands, as the reference spells it. */
interface Key {
  readonly place: string;
  readonly schema: Described;
}

/** Every key that may stand in a value; one that may stand in several places is one object, and comes several times. */
export function* keysOf(schema: Described, place = ''): Generator<Key> {
  for (const [key, value] of Object.entries(schema.properties ?? {})) {
    const inner = place === '' ? key : `${place}.${key}`;
    yield { place: inner, schema: value };
    yield* keysOf(value, inner);
  }
  if (schema.items) yield* keysOf(schema.items, `${place}[]`);
  if (schema.additionalProperties) yield* keysOf(schema.additionalProperties, `${place}.NAME`);
}

/** The schema of every key that stands in a value, with what stands there. */
export function* usesIn(value: unknown, schema: Described | undefined): Generator<[Described, unknown]> {
  if (Array.isArray(value)) {
    for (const item of value) yield* usesIn(item, schema?.items);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      const { properties = {}, additionalProperties } = schema ?? {};
      const of = Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
      if (of) yield [of, inner];
      yield* usesIn(inner, of || undefined);
    }
  }
}
