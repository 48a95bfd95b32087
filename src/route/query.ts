/**
 * The parameters of a query, name and value, decoded and in their order: as a form writes them
 * (https://url.spec.whatwg.org/#urlencoded-parsing), `+` for a space. One without `=` has the value ''. Escapes that are
 * broken, or no UTF-8, stay as they are: they stand for no text.
 */
export function* parametersOf(query: string): Generator<readonly [name: string, value: string]> {
  for (let start = 0; start <= query.length;) {
    const ampersand = query.indexOf('&', start);
    const end = ampersand < 0 ? query.length : ampersand;
    if (end > start) {
      const pair = query.slice(start, end);
      const equals = pair.indexOf('=');
      yield equals < 0 ? [decode(pair), ''] : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
    }
    start = end + 1;
  }
}

/** An octet behind the first of a sequence. */
const TAIL = '%[89ab][\\da-f]';
/** Well-formed UTF-8 sequences, escaped: Unicode's table 3-7. No alternative is longer than four escapes. */
const CHARACTER = new RegExp(
  [
    '%[0-7][\\da-f]',
    `%(?:c[2-9a-f]|d[\\da-f])${TAIL}`,
    `%e0%[ab][\\da-f]${TAIL}`,
    `%e[1-9a-cef]${TAIL}${TAIL}`,
    `%ed%[89][\\da-f]${TAIL}`,
    `%f0%[9ab][\\da-f]${TAIL}${TAIL}`,
    `%f[1-3]${TAIL}${TAIL}${TAIL}`,
    `%f4%8[\\da-f]${TAIL}${TAIL}`,
  ].join('|'),
  'gi',
);

function decode(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text;
  return spaced.includes('%') ? spaced.replace(CHARACTER, decodeURIComponent) : spaced;
}
