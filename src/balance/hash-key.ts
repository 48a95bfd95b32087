import { cookiesOf } from '../peek/cookies';
import type { Asker } from '../peek/head';

/** What a key is made of: the head of a request, in part. */
export interface Hashable {
  readonly path: string;
  header(lowerCaseName: string): string | undefined;
}

export type HashKey = (head: Hashable, asker: Asker) => string;

/**
 * The key that `hash: client | path | header:NAME | cookie:NAME` asks for. A request whose header or cookie is absent or empty
 * is told by its client, and so is a connection without a head: all of them together would overrun one backend.
 */
export function hashKey(hash: string): HashKey {
  const colon = hash.indexOf(':');
  const [kind, name] = colon < 0 ? [hash, ''] : [hash.slice(0, colon), hash.slice(colon + 1)];
  switch (kind) {
    case 'client':
      return (_head, asker) => addressOf(asker);
    case 'path':
      return ({ path }, asker) => path || addressOf(asker);
    case 'header': {
      const field = name.toLowerCase();
      return (head, asker) => head.header(field) || addressOf(asker);
    }
    case 'cookie':
      return (head, asker) => cookieOf(head.header('cookie') ?? '', name) || addressOf(asker);
    default:
      throw new RangeError(`hash ${hash}: not client, path, header:NAME or cookie:NAME`);
  }
}

function addressOf({ client }: Asker): string {
  return client.toString('latin1', 0, 16);
}

/** The value of the first cookie of that name; '' where there is none. */
export function cookieOf(header: string, name: string): string {
  for (const [each, value] of cookiesOf(header)) {
    if (each === name) return value;
  }
  return '';
}
