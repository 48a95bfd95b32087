/** One thing that is wrong in a configuration: 1-based position; 0:0 for an object that came from no text. */
export interface Problem {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

interface Failed {
  ok: false;
  problems: Problem[];
}

export type Loaded<T> = { ok: true; config: T } | Failed;

/** Keys and list indices from the root to a value. */
export type Path = readonly (string | number)[];

/** Whether a problem is about a key itself or about the value behind it. */
export type Part = 'key' | 'value';

export type Locator = (path: Path, part: Part) => { readonly line: number; readonly column: number };

/** More than a screenful helps nobody, and one mistake often repeats itself in every entry of a list. */
const MAX_PROBLEMS = 50;

/** Collects the problems of one configuration and knows where each of them is. */
export class ProblemReport {
  readonly #locate: Locator;
  readonly #problems: Problem[] = [];

  constructor(locate: Locator) {
    this.#locate = locate;
  }

  get empty(): boolean {
    return this.#problems.length === 0;
  }

  /** Whether it has as many as are shown, so that a hint which takes time to find is not worth it. */
  get full(): boolean {
    return this.#problems.length >= MAX_PROBLEMS;
  }

  /** Adds `pools.web.hash: MESSAGE` at the place of the value. */
  add(path: Path, message: string): void {
    this.addBare(path, 'value', `${formatPath(path)}${path.length > 0 ? ': ' : ''}${message}`);
  }

  /** Adds a message that names its subject itself. */
  addBare(path: Path, part: Part, message: string): void {
    this.#problems.push({ ...this.#locate(path, part), message });
  }

  failure(): Failed {
    return failed(this.#problems);
  }
}

/** The first problems in the order of the text, each once: validator and parser repeat themselves. */
export function failed(problems: readonly Problem[]): Failed {
  const visible = problems.map((problem) => ({ ...problem, message: escapeUnseen(problem.message) }));
  const unique = new Map(
    visible.map((problem) => [`${problem.line}:${problem.column}:${problem.message}`, problem]),
  );
  const sorted = [...unique.values()].sort((a, b) => a.line - b.line || a.column - b.column);
  return { ok: false, problems: sorted.slice(0, MAX_PROBLEMS) };
}

/** What ends a line, moves a cursor or turns the direction of a text, for some of those who show it. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Messages repeat pieces of the text and names of files; JSON's own quotes leave most of these characters as they are. */
function escapeUnseen(message: string): string {
  return message.replace(UNSEEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** One line per problem: `FILE:LINE:COL: message`, or `FILE: message` where there is no text to point into. */
export function formatProblems(file: string, problems: readonly Problem[]): string[] {
  return problems.map(({ line, column, message }) =>
    line > 0 ? `${file}:${line}:${column}: ${message}` : `${file}: ${message}`,
  );
}

/** `pools.web.backends[0].agent`; keys that are no plain names are quoted, so a path never spans lines. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    if (!/^[\w.-]{1,64}$/.test(step)) return `${text}[${quote(step)}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

/** Longest piece of a configuration that a message repeats. */
const MAX_QUOTED_LENGTH = 60;

/** A piece of the configuration in quotes, on one line and of bounded length. */
export function quote(text: string): string {
  return JSON.stringify(text.length > MAX_QUOTED_LENGTH ? `${text.slice(0, MAX_QUOTED_LENGTH)}...` : text);
}
