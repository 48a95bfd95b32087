import { isMap, isScalar, isSeq, parseDocument, visit } from 'yaml';
import type { Document, ErrorCode, Node, Pair, ParsedNode, YAMLMap } from 'yaml';
import { failed, quote } from './problems';
import type { Loaded, Locator, Part, Path, Problem } from './problems';

/** A configuration as plain data, and where each part of it is written. */
export interface Source {
  readonly value: unknown;
  readonly locate: Locator;
}

/** Offset in the text -> 1-based line and column. */
type Position = (offset: number) => { readonly line: number; readonly column: number };

/** The library's own longest message has half of this. */
const MAX_WORDS = 200;

const TOO_DEEP = 'YAML: nested too deeply';

/** What is said instead of the parser's own words, by its error code. */
const OWN_MESSAGES = new Map<ErrorCode, string>([
  ['MULTIPLE_DOCS', 'a second YAML document: a file holds one configuration'],
  ['RESOURCE_EXHAUSTION', TOO_DEEP],
]);

/** YAML 1.2 text -> plain data with positions. Never throws: whatever is wrong with the text is a problem. */
export function parseYaml(text: string): Loaded<Source> {
  try {
    return compose(text);
  } catch (error) {
    // The composer recurses once per level of nesting and knows no limit but the stack.
    if (!(error instanceof RangeError)) throw error;
    return failed([{ line: 1, column: 1, message: TOO_DEEP }]);
  }
}

function compose(text: string): Loaded<Source> {
  // A %YAML directive or a tag must not bring in the types of YAML 1.1 (dates, sets, octal numbers): `schema` and
  // `resolveKnownTags` pin the core types.
  const document = parseDocument(text, {
    prettyErrors: false,
    schema: 'core',
    resolveKnownTags: false,
    logLevel: 'error',
    // The library compares each key with all before it: 20 s for 60,000 keys. See structureProblems().
    uniqueKeys: false,
  });
  const position = positionsIn(text);
  const problems = [...syntaxProblems(document, position), ...structureProblems(document, position)];
  if (problems.length > 0) return failed(problems);

  const value: unknown = document.toJS({ maxAliasCount: 0 });
  const finder = new Finder(document.contents);
  return { ok: true, config: { value, locate: (path, part) => position(finder.offsetOf(path, part)) } };
}

/**
 * Lines and columns by offset. The library's own LineCounter misses the lines behind a `>` or `|` that is out of place.
 */
function positionsIn(text: string): Position {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    let [low, high] = [0, starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: Math.max(0, Math.min(offset, text.length) - (starts[low] ?? 0)) + 1 };
  };
}

/** Errors and warnings alike: a warning is about a tag or directive whose effect would be silently lost. */
function syntaxProblems(document: Document.Parsed, position: Position): Problem[] {
  return [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({
    ...position(pos[0]),
    message: OWN_MESSAGES.get(code) ?? `YAML: ${ownWords(message)}`,
  }));
}

/** A message of the library's, which repeats pieces of the text however long they are. */
function ownWords(message: string): string {
  const line = message.replace(/\s*\n[^]*/, '');
  return line.length > MAX_WORDS ? `${line.slice(0, MAX_WORDS)}...` : line;
}

/**
 * What is sound YAML and still refused: duplicate keys, one of which would be ignored, and aliases, which save few
 * lines in a file of this kind and make documents that grow exponentially possible.
 */
function structureProblems(document: Document.Parsed, position: Position): Problem[] {
  const problems: Problem[] = [];
  const add = (node: Node, message: string) => problems.push({ ...position(node.range?.[0] ?? 0), message });
  visit(document, {
    Alias: (_, alias) => void add(alias, 'YAML aliases are not supported: repeat the value'),
    Map: (_, { items }) => {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) add(key, `the key ${quote(name)} is given twice`);
        seen.add(name);
      }
    },
  });
  return problems;
}

type Pairs = ReadonlyMap<string, Pair<ParsedNode, ParsedNode | null>>;

/** Finds the parts of a document. */
class Finder {
  /** Of each mapping that was asked for: a file of nothing but mistakes asks a hundred thousand times for the same one. */
  readonly #pairs = new Map<ParsedNode, Pairs>();

  constructor(private readonly root: ParsedNode | null) {}

  /** Where the value (or its key) at a path starts; the innermost part that exists if the path leads to nothing. */
  offsetOf(path: Path, part: Part): number {
    let node = this.root;
    let offset = this.root?.range[0] ?? 0;
    for (const [depth, step] of path.entries()) {
      if (isSeq<ParsedNode>(node)) {
        node = node.items[Number(step)] ?? null;
      } else if (isMap<ParsedNode, ParsedNode | null>(node)) {
        const pair = this.#pairsOf(node).get(String(step));
        if (!pair) return offset;
        offset = pair.key.range[0];
        if (part === 'key' && depth === path.length - 1) return offset;
        node = pair.value;
      }
      if (!node) return offset;
      offset = node.range[0];
    }
    return offset;
  }

  #pairsOf(map: YAMLMap<ParsedNode, ParsedNode | null> & ParsedNode): Pairs {
    const known = this.#pairs.get(map);
    if (known !== undefined) return known;
    const pairs = new Map(
      map.items.flatMap((pair) => (isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : [])),
    );
    this.#pairs.set(map, pairs);
    return pairs;
  }
}
