import type { IncomingMessage } from 'node:http';
import { Authority } from '../peek/authority';
import type { HeadChanges } from '../peek/head';
import { valuesOf } from './fields';

/** Where a request goes on its origin. */
export interface RequestTarget {
  /** Origin-form or `*`. */
  readonly path: string;
  /** The authority of an absolute-form target; it takes the place of Host (RFC 9112 section 3.2.2). */
  readonly host?: string;
}

const ORIGIN_FORM = /^\/[^?#\\]*(?:\?[^#]*)?$/;
const ABSOLUTE_FORM = /^https?:\/\/([^/?#]+)([^#]*)$/i;

const authority = new Authority();

/**
 * Where a request goes; undefined where it does not say so beyond doubt. Node's parser takes targets with fragments and
 * any Host, any number of them. Whoever routed by one reading and passed all of it on would serve what another route was
 * meant for, so later requests of a connection obey the rules by which the front reads first ones (peek/).
 */
export function targetOf(request: IncomingMessage): RequestTarget | undefined {
  const hosts = valuesOf(request.rawHeaders, 'host');
  if (hosts.length > 1 || !hosts.every((host) => host === '' || isAuthority(host))) return undefined;
  return parseTarget(request.method ?? '', request.url ?? '');
}

/**
 * Reads the request-target of a request line (RFC 9112 section 3.2); undefined where it is not valid.
 * An origin gets the origin-form, whichever form the client chose (section 3.2.1).
 */
export function parseTarget(method: string, target: string): RequestTarget | undefined {
  if (target === '*') return method === 'OPTIONS' ? { path: '*' } : undefined;
  if (target.startsWith('/')) return ORIGIN_FORM.test(target) ? { path: target } : undefined;
  const absolute = ABSOLUTE_FORM.exec(target);
  if (absolute === null) return undefined;
  const [, host = '', rest = ''] = absolute;
  if (!isAuthority(host)) return undefined;
  // Section 3.2.4 of RFC 9112: OPTIONS without a path is about the server as a whole.
  if (rest === '') return { path: method === 'OPTIONS' ? '*' : '/', host };
  const path = rest.startsWith('/') ? rest : `/${rest}`;
  return ORIGIN_FORM.test(path) ? { path, host } : undefined;
}

/** The path and query that an origin is asked for, when the path is another one than the client's. */
export function changedPath({ path }: RequestTarget, changes: HeadChanges | undefined): string {
  if (changes?.path === undefined) return path;
  const question = path.indexOf('?');
  return question < 0 ? changes.path : changes.path + path.slice(question);
}

/** A host with an optional port; user information is an attempt to deceive (RFC 9110 section 4.2.4). */
function isAuthority(text: string): boolean {
  return authority.read(Buffer.from(text, 'latin1'), 0, text.length);
}
