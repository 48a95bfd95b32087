/** What a key is made of: the head of a request, in part. */
export interface Hashable {
  readonly path: string;
  header(lowerCaseName: string): string | undefined;
}

/** The key of a request; `client` begins with the 16 bytes of its client's address. */
export type HashKey = (head: Hashable, client: Buffer) => string;

/**
 * The key that `hash: client | path | header:NAME | cookie:NAME` asks for. A request without that header or cookie is told
 * by its client: all of them together would overrun one backend.
 */
export function hashKey(hash: string): HashKey {
  const colon = hash.indexOf(':');
  const [kind, name] = colon < 0 ? [hash, ''] : [hash.slice(0, colon), hash.slice(colon + 1)];
  switch (kind) {
    case 'client':
      return (_head, client) => addressOf(client);
    case 'path':
      return ({ path }) => path;
    case 'header': {
      const field = name.toLowerCase();
      return (head, client) => head.header(field) ?? addressOf(client);
    }
    case 'cookie':
      return (head, client) => cookieOf(head.header('cookie') ?? '', name) ?? addressOf(client);
    default:
      throw new RangeError(`hash ${hash}: not client, path, header:NAME or cookie:NAME`);
  }
}

function addressOf(client: Buffer): string {
  return client.toString('latin1', 0, 16);
}

/** The value of the first cookie of that name, quotes and all (RFC 6265 section 4.2.1). */
function cookieOf(header: string, name: string): string | undefined {
  for (let start = 0; start < header.length;) {
    const semicolon = header.indexOf(';', start);
    const end = semicolon < 0 ? header.length : semicolon;
    const equals = header.indexOf('=', start);
    if (equals < 0) return undefined;
    if (equals < end && header.slice(start, equals).trim() === name)
      return header.slice(equals + 1, end).trim();
    start = end + 1;
  }
  return undefined;
}
