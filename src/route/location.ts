/**
 * Where a redirect sends a client: a template with `{host}`, `{path}` and `{query}` of the request that is redirected.
 *
 *   https://{host}{path}{query}       the same, by HTTPS
 *   https://www.example.com{path}     of another host; the query is dropped
 *   /new                              another path of the same host
 *
 * The template says which host is meant, and nothing in a request may change that: the authority is written out or is the
 * request's own host, and where a path begins with the template's own slash, no second one can follow it (`//evil.example`
 * names a host).
 */
import type { RoutableHead } from '../peek/head';

type Placeholder = 'host' | 'path' | 'query';

const PLACEHOLDERS: readonly string[] = ['host', 'path', 'query'] satisfies Placeholder[];
/** What a URI is written with (RFC 3986 section 2), but for the brackets of IPv6, which only an authority may have. */
const LITERAL = /^[A-Za-z0-9._~:/?#@!$&'()*+,;=%[\]-]*$/;
/** The beginning with an authority: literal, or the request's host, perhaps behind labels of its own. */
const AUTHORITY =
  /^https?:\/\/(?:[a-z0-9.-]+|\[[0-9a-f:.]+\]|(?:[a-z0-9-]+\.)*\{host\})(?::\d{1,5})?(?=$|[/?#]|\{path\}|\{query\})/i;
/** The beginning with a path: what follows the slash is no slash, nor can become one. */
const PATH = /^\/(?=$|[^/{\\]|\{query\}$)/;
/** Everything else is escaped in a location: other octets of the request are no part of a URI (RFC 3986 section 2). */
const UNSAFE = /[^A-Za-z0-9._~:/?@!$&'()*+,;=%[\]-]/g;

/** What is wrong with a template; undefined where nothing is. */
export function objectionTo(template: string): string | undefined {
  const parts = template.split(/\{([^{}]*)\}/);
  const unknown = parts.find((part, i) => i % 2 === 1 && !PLACEHOLDERS.includes(part));
  if (unknown !== undefined) return `{${unknown}} is not one of {host}, {path} and {query}`;
  const odd = parts.find((part, i) => i % 2 === 0 && !LITERAL.test(part));
  if (odd !== undefined) return 'has characters that no URL has; they are escaped as %XX';
  if (PATH.test(template)) return undefined;
  if (AUTHORITY.test(template)) {
    const filled = template.replace('{host}', 'a.example').replace(/\{(path|query)\}/g, '');
    return URL.canParse(filled) ? undefined : 'is no URL: the port or the address is wrong';
  }
  return 'must begin with http:// or https:// and a host, written out or {host}, or with a path of its own: a client must not choose the host';
}

/** A template that is none of the above is refused when the configuration is loaded. */
export class Location {
  private readonly parts: readonly string[];

  constructor(template: string) {
    const objection = objectionTo(template);
    if (objection !== undefined) throw new Error(`redirect to ${template}: ${objection}`);
    this.parts = template.split(/\{([^{}]*)\}/);
  }

  /** The location for a request; undefined where it has no host and the template asks for it. */
  of(head: RoutableHead): string | undefined {
    if (head.host === '' && this.parts.some((part, i) => i % 2 === 1 && part === 'host')) return undefined;
    return this.parts.map((part, i) => (i % 2 === 0 ? part : valueOf(head, part as Placeholder))).join('');
  }
}

function valueOf({ host, path, query }: RoutableHead, placeholder: Placeholder): string {
  switch (placeholder) {
    case 'host':
      return host.includes(':') ? `[${host}]` : host;
    case 'path':
      // Not that of `OPTIONS *`: it would become a part of the host.
      return path.startsWith('/') ? escaped(path) : '/';
    case 'query':
      return query === '' ? '' : `?${escaped(query)}`;
  }
}

/** Heads are Latin-1 here, so each of these is one octet. */
function escaped(text: string): string {
  return text.replace(
    UNSAFE,
    (octet) => `%${octet.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  );
}
