import { Network } from '../route/network';
import { faultOf } from '../route/pattern';
import type { HeadMatchConfig, RouteMatchConfig, ValueMatchConfig } from './model';
import { didYouMean } from './nearest';
import type { Path, ProblemReport } from './problems';
import type { FrontInput } from './schema';

type MatchInput = NonNullable<FrontInput['routes'][number]['match']>;
type HeadMatchInput = Omit<MatchInput, 'not'>;
type ValueInputs = NonNullable<MatchInput['headers']>;

/** Each takes a quarter of a millisecond to compile, in every thread, and 13 KB or more where it is used. */
const MAX_PATTERNS = 4096;

/** Checks the matches of all routes, one after the other. */
export class MatchChecks {
  #patterns = 0;

  /** @param listeners names of those that there are. */
  constructor(
    private readonly listeners: readonly string[],
    private readonly report: ProblemReport,
  ) {}

  check({ not, ...match }: MatchInput, path: Path): void {
    this.#checkHead(match, path);
    if (not !== undefined) this.#checkHead(not, [...path, 'not']);
  }

  #checkHead({ path_regex, headers, query, cookie, client, listener }: HeadMatchInput, path: Path): void {
    this.#checkNames(headers, [...path, 'headers']);
    for (const [key, values] of Object.entries({ headers, query, cookie }))
      this.#checkValues(values, [...path, key]);
    for (const [text, place] of entriesOf(path_regex, [...path, 'path_regex']))
      this.#checkPattern(text, place);
    for (const [text, place] of entriesOf(client, [...path, 'client'])) this.#checkNetwork(text, place);
    for (const [name, place] of entriesOf(listener, [...path, 'listener'])) this.#checkListener(name, place);
  }

  #checkNames(headers: ValueInputs = {}, path: Path): void {
    const seen = new Set<string>();
    for (const header of Object.keys(headers)) {
      const name = header.toLowerCase();
      if (seen.has(name)) this.report.add([...path, header], `"${name}" is already taken`);
      seen.add(name);
    }
  }

  #checkValues(values: ValueInputs = {}, path: Path): void {
    for (const [name, value] of Object.entries(values)) {
      if (typeof value === 'string') continue;
      if (value.regex !== undefined && value.present !== undefined)
        this.report.add([...path, name], 'has both "regex" and "present": keep one');
      if (value.regex !== undefined) this.#checkPattern(value.regex, [...path, name, 'regex']);
    }
  }

  #checkPattern(text: string, path: Path): void {
    const fault = ++this.#patterns > MAX_PATTERNS ? undefined : faultOf(text);
    if (fault !== undefined) this.report.add(path, `is no regular expression: ${fault}`);
    if (this.#patterns === MAX_PATTERNS + 1)
      this.report.add(path, `there are more than ${MAX_PATTERNS} regular expressions`);
  }

  #checkListener(name: string, path: Path): void {
    if (this.listeners.includes(name)) return;
    const hint = this.report.full ? '' : didYouMean(name, this.listeners);
    this.report.add(path, `there is no listener "${name}"${hint}`);
  }

  #checkNetwork(text: string, path: Path): void {
    const base = Network.parse(text)?.base.toString();
    if (base !== undefined && base !== Network.parse(text)?.toString())
      this.report.add(path, `"${text}" has bits behind its prefix: the network is ${base}`);
  }
}

/** A match that was checked: lists for single texts, one spelling for what has several. */
export function normaliseMatch({ not, ...match }: MatchInput): RouteMatchConfig {
  return { ...normaliseHeadMatch(match), ...(not !== undefined && { not: normaliseHeadMatch(not) }) };
}

function normaliseHeadMatch({
  host,
  client,
  headers,
  query,
  cookie,
  ...lists
}: HeadMatchInput): HeadMatchConfig {
  const texts = Object.entries(lists).map(([key, value]) => [key, [value].flat()] as const);
  return {
    ...(Object.fromEntries(texts) as Pick<HeadMatchConfig, keyof typeof lists>),
    ...(host !== undefined && { host: [host].flat().map((name) => name.toLowerCase()) }),
    ...(headers && { headers: normaliseValues(headers, (name) => name.toLowerCase()) }),
    ...(query && { query: normaliseValues(query) }),
    ...(cookie && { cookie: normaliseValues(cookie) }),
    ...(client !== undefined && { client: [client].flat().map((text) => String(Network.parse(text))) }),
  };
}

function normaliseValues(
  values: ValueInputs,
  nameOf: (name: string) => string = (name) => name,
): Record<string, ValueMatchConfig> {
  return Object.fromEntries(
    // With one key each: that has been checked.
    Object.entries(values).map(([name, value]) => [nameOf(name), value as ValueMatchConfig]),
  );
}

/** The text, or each of a list of them, with its place. */
function entriesOf(value: string | string[] | undefined, path: Path): [text: string, place: Path][] {
  if (Array.isArray(value)) return value.map((text, index) => [text, [...path, index]]);
  return value === undefined ? [] : [[value, path]];
}
