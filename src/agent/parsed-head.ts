import type { IncomingMessage } from 'node:http';
import { separatorOf, type RoutableHead } from '../peek/head';
import { MAX_FIELDS } from '../peek/http1';
import * as octet from '../peek/octets';

/** A name or an IPv4 address, with a port or without: most of what Authority accepts. */
const HOST = /^[\w.-]+(?::(?:\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}))?$/;
/** Of a length that is a safe integer for certain. */
const MOST_DIGITS = 15;
/** ': ' and CRLF. */
const LINE_BYTES = 4;
/** A request line without method and target. */
const REQUEST_LINE_BYTES = '  HTTP/1.1\r\n'.length;
const EMPTY_LINE_BYTES = 2;

/**
 * The head of a request as a server's strict parser has understood it, so far as it is a plain one: Http1Peek would understand it in
 * the same way, if it took it (of empty lines in front, and of blanks in the request line, the parser takes more), and it asks for nothing
 * that needs a closer look. Reusable: each read() overwrites the results of the last.
 */
export class ParsedHead implements RoutableHead {
  method = '';
  private target = '';
  /** Where its path ends. */
  private pathEnd = 0;
  private fields: readonly string[] = [];
  private hostField = '';
  /** The last one that was looked at and found to be plain: most often it is the next one, too. */
  private plainHost: string | undefined;

  /**
   * Whether it is a plain one, of no more than `headBytes` without superfluous white space. What the parser itself refuses is not
   * looked at.
   */
  read(request: IncomingMessage & { upgrade?: boolean }, headBytes: number): boolean {
    const { method, url, httpVersion, rawHeaders, upgrade } = request;
    this.method = method ?? '';
    this.target = url ?? '';
    this.fields = rawHeaders;
    this.hostField = '';
    if (upgrade === true || (httpVersion !== '1.1' && httpVersion !== '1.0')) return false;
    if (rawHeaders.length > 2 * MAX_FIELDS || !this.splitTarget()) return false;
    let length = this.method.length + this.target.length + REQUEST_LINE_BYTES + EMPTY_LINE_BYTES;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i] as string;
      const value = rawHeaders[i + 1] as string;
      length += name.length + value.length + LINE_BYTES;
      if (!this.note(name, value)) return false;
    }
    return this.hostField !== '' && length <= headBytes;
  }

  get host(): string {
    const port = this.hostField.indexOf(':');
    return (port < 0 ? this.hostField : this.hostField.slice(0, port)).toLowerCase();
  }

  get path(): string {
    return this.target.slice(0, this.pathEnd);
  }

  get query(): string {
    return this.target.slice(this.pathEnd + 1);
  }

  header(lowerCaseName: string): string | undefined {
    const { fields } = this;
    let all: string | undefined;
    for (let i = 0; i < fields.length; i += 2) {
      if (!isNamed(fields[i] as string, lowerCaseName)) continue;
      const value = fields[i + 1] as string;
      all = all === undefined ? value : all + separatorOf(lowerCaseName) + value;
    }
    return all;
  }

  /** Whether the target is one in origin form that RequestLine accepts, too. */
  private splitTarget(): boolean {
    const { target } = this;
    if (target.charCodeAt(0) !== octet.SLASH) return false;
    let at = 1;
    while (octet.TARGET_BEFORE_QUERY[target.charCodeAt(at)] === 1) at++;
    this.pathEnd = at;
    if (at === target.length) return true;
    if (target.charCodeAt(at) !== octet.QUESTION_MARK) return false;
    for (at += 1; octet.TARGET[target.charCodeAt(at)] === 1;) at++;
    return at === target.length;
  }

  /** Looks at the fields that make a head more than a plain one; most names can be told apart by their length. */
  private note(name: string, value: string): boolean {
    switch (name.length) {
      case 4:
        if (!isNamed(name, 'host')) return true;
        if (this.hostField !== '' || (value !== this.plainHost && !HOST.test(value))) return false;
        this.hostField = this.plainHost = value;
        return true;
      case 6:
        return !isNamed(name, 'expect');
      case 7:
        return !isNamed(name, 'upgrade');
      case 14:
        return !isNamed(name, 'content-length') || value.length <= MOST_DIGITS;
      case 17:
        return !isNamed(name, 'transfer-encoding');
      default:
        return true;
    }
  }
}

function isNamed(name: string, lowerCaseName: string): boolean {
  return (
    name.length === lowerCaseName.length && (name === lowerCaseName || name.toLowerCase() === lowerCaseName)
  );
}
