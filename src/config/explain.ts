import type { ErrorObject } from 'ajv';
import { didYouMean } from './nearest';
import { formatPath, quote } from './problems';
import type { Path, ProblemReport } from './problems';

/** What a schema says about itself that a message needs. */
interface Described {
  readonly type?: string | readonly string[];
  readonly expected?: string;
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: object;
}

/** What the bounds of a collection are called, by the validator's keyword. */
const COLLECTION_BOUNDS = new Map([
  ['minItems', 'the list is empty'],
  ['minProperties', 'the mapping is empty'],
  ['maxItems', 'the list is too long'],
  ['maxProperties', 'the mapping has too many keys'],
]);

const TYPE_NAMES = new Map([
  ['object', 'a mapping'],
  ['array', 'a list'],
  ['boolean', 'true or false'],
]);

/** Says one of the validator's errors in an operator's words, at its place in the document. */
export function explain(error: ErrorObject, root: unknown, report: ProblemReport): void {
  const path = pathOf(error.instancePath, root);
  const schema = (error.parentSchema ?? {}) as Described;
  const params = error.params as { additionalProperty?: string; missingProperty?: string };

  if (error.keyword === 'propertyNames') return; // The key's own error has come before this summary.
  if (error.propertyName !== undefined) {
    const key = error.propertyName;
    report.addBare([...path, key], 'key', `${prefix(path)}${quote(key)} is not ${expected(schema)}`);
  } else if (params.additionalProperty !== undefined) {
    const key = params.additionalProperty;
    const hint = didYouMean(key, Object.keys(schema.properties ?? {}));
    report.addBare([...path, key], 'key', `unknown key ${quote(key)}${hint}`);
  } else if (params.missingProperty !== undefined) {
    report.add(path, `key "${params.missingProperty}" is missing`);
  } else if (path.length === 0 && (root === null || root === undefined)) {
    report.add(path, 'the configuration is empty');
  } else {
    report.add(path, COLLECTION_BOUNDS.get(error.keyword) ?? mismatch(error.data, schema));
  }
}

function prefix(path: Path): string {
  return path.length === 0 ? '' : `${formatPath(path)}: `;
}

function mismatch(data: unknown, schema: Described): string {
  // The commonest surprise of YAML: `x-version: 2` is a number. Quotes cannot help where the text has a syntax.
  const looksLikeText = typeof data === 'number' || typeof data === 'boolean';
  if (
    takesAnyText(schema.type) &&
    looksLikeText &&
    schema.format === undefined &&
    schema.enum === undefined
  ) {
    return `${describe(data)} is not text: put it in quotes`;
  }
  return `${describe(data)} is not ${expected(schema)}`;
}

/** A text, or one among other shapes that no number has. */
function takesAnyText(type: Described['type']): boolean {
  return type === 'string' || (Array.isArray(type) && type.includes('string') && type.includes('object'));
}

function expected({ expected: phrase, type }: Described): string {
  return phrase ?? TYPE_NAMES.get(String(type)) ?? 'valid';
}

/** A value for a message: one line, bounded, and safe for cyclic objects since it never looks inside. */
function describe(data: unknown): string {
  if (typeof data === 'string') return quote(data);
  if (Array.isArray(data)) return 'a list';
  if (typeof data === 'object' && data !== null) return 'a mapping';
  return String(data);
}

/** JSON pointer (RFC 6901) -> path, with list indices as numbers. */
function pathOf(pointer: string, root: unknown): Path {
  let value = root;
  return pointer
    .split('/')
    .slice(1)
    .map((escaped) => {
      const key = escaped.replaceAll('~1', '/').replaceAll('~0', '~');
      const step = Array.isArray(value) ? Number(key) : key;
      value = (value as Record<string, unknown>)[key];
      return step;
    });
}
