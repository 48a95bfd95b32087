/** Pieces of heads and rules in what is said about them: on one line, and of bounded length. */

/** Characters of a piece. */
const MOST_SHOWN = 60;
/** Pieces of a list. */
const MOST_LISTED = 4;

export function shortened(text: string): string {
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}...` : text;
}

export function quoted(text: string): string {
  return JSON.stringify(shortened(text));
}

/** As it is, unless it would not be seen as one word. */
export function word(text: string): string {
  return /^[\x21-\x7e]+$/.test(text) ? shortened(text) : quoted(text);
}

/** `a`, `a or b`, `a, b, c or 20 more`. */
export function anyOf(texts: readonly string[], say: (text: string) => string = word): string {
  return joined(texts.map(say), ' or ');
}

/** `a`, `a and b`, `a, b, c and 20 more`. */
export function allOf(texts: readonly string[]): string {
  return joined(texts, ' and ');
}

function joined(texts: readonly string[], conjunction: string): string {
  const shown = texts.length > MOST_LISTED ? texts.slice(0, MOST_LISTED - 1) : texts.slice(0, -1);
  const last = texts.length > MOST_LISTED ? `${texts.length - shown.length} more` : (texts.at(-1) ?? '');
  return shown.length > 0 ? shown.join(', ') + conjunction + last : last;
}
