/** Where a request goes on its origin. */
export interface RequestTarget {
  /** Origin-form or `*`. */
  readonly path: string;
  /** The authority of an absolute-form target; it takes the place of Host (RFC 9112 section 3.2.2). */
  readonly host?: string;
}

const ABSOLUTE_FORM = /^https?:\/\/([^/?#]+)([^#]*)$/i;

/**
 * Reads the request-target of a request line (RFC 9112 section 3.2); undefined where it is not valid.
 * An origin gets the origin-form, whichever form the client chose (section 3.2.1).
 */
export function parseTarget(method: string, target: string): RequestTarget | undefined {
  if (target.startsWith('/')) return { path: target };
  if (target === '*') return method === 'OPTIONS' ? { path: '*' } : undefined;
  const absolute = ABSOLUTE_FORM.exec(target);
  if (absolute === null) return undefined;
  const [, authority = '', rest = ''] = absolute;
  // RFC 9110 section 4.2.4: user information is an attempt to deceive and refused.
  if (authority.includes('@')) return undefined;
  // Section 3.2.4 of RFC 9112: OPTIONS without a path is about the server as a whole.
  if (rest === '') return { path: method === 'OPTIONS' ? '*' : '/', host: authority };
  return { path: rest.startsWith('/') ? rest : `/${rest}`, host: authority };
}
