import { Ajv } from 'ajv';
import { AGENT_SCHEMA, FRONT_SCHEMA } from '../../src/config/schema';

interface Schema {
  readonly description?: string;
  readonly properties?: Record<string, Schema>;
  readonly items?: Schema;
  readonly propertyNames?: Schema;
  readonly additionalProperties?: Schema | false;
}

/** Every schema within a schema, by its place. */
function* walk(schema: Schema, place: string): Generator<[string, Schema]> {
  yield [place, schema];
  for (const [key, value] of Object.entries(schema.properties ?? {})) yield* walk(value, `${place}.${key}`);
  if (schema.items) yield* walk(schema.items, `${place}[]`);
  if (schema.propertyNames) yield* walk(schema.propertyNames, `${place}.NAME`);
  if (schema.additionalProperties) yield* walk(schema.additionalProperties, `${place}.*`);
}

const SCHEMAS = [...walk(FRONT_SCHEMA as Schema, 'front'), ...walk(AGENT_SCHEMA as Schema, 'agent')];

test('the reference has a sentence on every key', () => {
  const silent = SCHEMAS.filter(([, { description }]) => !/^[A-Z].*\.$/.test(description ?? ''));
  expect(silent.map(([place]) => place)).toEqual([]);
  expect(SCHEMAS.length).toBeGreaterThan(80);
});

test('no mapping takes unknown keys', () => {
  const open = SCHEMAS.filter(([, schema]) => schema.properties && schema.additionalProperties !== false);
  expect(open.map(([place]) => place)).toEqual([]);
});

test.each([
  ['front', FRONT_SCHEMA],
  ['agent', AGENT_SCHEMA],
])(
  'the schema of a %s is one by the meta-schema, which no process looks at when it starts',
  (_kind, schema) => {
    const ajv = new Ajv();
    expect([ajv.validateSchema(schema), ajv.errors]).toEqual([true, null]);
    expect(ajv.validateSchema({ ...schema, maxProperties: 'many' })).toBe(false);
  },
);
