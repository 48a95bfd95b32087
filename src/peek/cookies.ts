/**
 * The cookies of a Cookie field, name and value, in their order: a name may come more than once. Values are as they were
 * sent, quotes and all (RFC 6265 section 4.2.1). What has no `=` is no cookie.
 */
export function* cookiesOf(header: string): Generator<readonly [name: string, value: string]> {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals >= 0) yield [pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()];
  }
}
