/**
 * Regular expressions, by an engine that has no bad cases: RE2's syntax, without lookaround and backreferences, in a time
 * that grows with the text and not with what it makes of the pattern. The one file that knows the engine.
 */
import { RE2JS, RE2JSException, RE2JSSyntaxException } from 're2js';

/** Characters. */
export const LONGEST_PATTERN = 1024;
/**
 * Instructions of the compiled program. A pattern has about one for each of its characters; more of them come
 * from repetitions that are written out, `((ab?){30}){30}`. At worst, each takes 8 ns for each character of a text. A usual one
 * takes 13 KB; the engine remembers what it has met, up to some megabytes for a large one and hostile texts.
 */
const MOST_INSTRUCTIONS = 1100;

/**
 * A regular expression that a text matches as a whole. `.` is any character: a value may hold a line feed (`%0A` in a query),
 * and what stands behind it must not go unseen.
 */
export class Pattern {
  private readonly engine: RE2JS;

  /** Throws a RangeError that says what is wrong with the text. */
  constructor(readonly text: string) {
    this.engine = compile(text);
  }

  fits(whole: string): boolean {
    return this.engine.testExact(whole);
  }
}

/** What is wrong with a pattern; undefined where nothing is. */
export function faultOf(text: string): string | undefined {
  try {
    compile(text);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return error.message;
    throw error;
  }
}

function compile(text: string): RE2JS {
  if (text.length > LONGEST_PATTERN) throw new RangeError(`longer than ${LONGEST_PATTERN} characters`);
  const engine = parse(text);
  if (engine.programSize() > MOST_INSTRUCTIONS)
    throw new RangeError('its repetitions, written out, are too large');
  return engine;
}

function parse(text: string): RE2JS {
  try {
    return RE2JS.compile(text, RE2JS.DOTALL);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new RangeError(reasonOf(error), { cause: error });
  }
}

/** Groups that look around, and escapes that refer back. */
const UNSUPPORTED = /^(?:\(\?<?[=!]|\\[1-9k])/;

function reasonOf(error: RE2JSException): string {
  if (!(error instanceof RE2JSSyntaxException)) return error.message;
  // DOTALL is put in front of the pattern, and some messages repeat the whole.
  const piece = (error.getPattern() ?? '').replace(/^\(\?s\)/, '');
  const hint = UNSUPPORTED.test(piece) ? ': lookaround and backreferences are not supported' : '';
  return `${error.getDescription()}${piece && ` ${JSON.stringify(piece.slice(0, 60))}`}${hint}`;
}
