import { Authority } from './authority';
import { MORE, REFUSE, stepLineEnd } from './http1-step';
import * as octet from './octets';

/** Longer than any method in IANA's registry (UPDATEREDIRECTREF has 17 letters). */
const MAX_METHOD_LENGTH = 32;
/** What a version looks like; each 0 stands for any digit (RFC 9112 section 2.3). */
const VERSION_FORM = 'HTTP/0.0';

const HTTP = { prefix: 'http://', defaultPort: 80 } as const;
const HTTPS = { prefix: 'https://', defaultPort: 443 } as const;

/**
 * The request line (RFC 9112 section 3) as offsets into the bytes it was read from.
 * Reusable: each read() overwrites the last one.
 */
export class RequestLine {
  methodStart = 0;
  methodEnd = 0;
  /** Of the path; start equals end where an absolute target has none. */
  pathStart = 0;
  pathEnd = 0;
  /** Of the query without its '?'; start equals end where there is none. */
  queryStart = 0;
  queryEnd = 0;
  minorVersion: 0 | 1 = 1;
  /** The target is in absolute form: `authority` and `defaultPort` say what it names. */
  absolute = false;
  defaultPort = 0;
  readonly authority = new Authority();

  private major = 0;
  private minor = 0;

  /** The step over the line that starts at `at`, its CRLF included. */
  read(bytes: Buffer, at: number, limit: number): number {
    at = this.stepMethod(bytes, at, limit);
    if (at >= 0) at = this.stepTarget(bytes, at, limit);
    if (at >= 0) at = this.stepVersion(bytes, at, limit);
    if (at >= 0) at = stepLineEnd(bytes, at, limit, REFUSE.version);
    return at < 0 ? at : this.judge(bytes, at);
  }

  private stepMethod(bytes: Buffer, start: number, limit: number): number {
    const end = octet.skip(octet.TOKEN, bytes, start, limit);
    if (end - start > MAX_METHOD_LENGTH) return REFUSE.method;
    if (end === limit) return MORE;
    if (end === start || bytes[end] !== octet.SP) return REFUSE.method;
    if (octet.equals(bytes, start, end, 'CONNECT')) return REFUSE.connect;
    this.methodStart = start;
    this.methodEnd = end;
    return end + 1;
  }

  private stepTarget(bytes: Buffer, start: number, limit: number): number {
    if (start >= limit) return MORE;
    const first = bytes[start];
    const absolute = first === 0x68 || first === 0x48; // The 'h' or 'H' of both schemes.
    if (!absolute && first !== octet.SLASH && first !== octet.ASTERISK) return REFUSE.target;

    const pathEnd = octet.skip(octet.TARGET_BEFORE_QUERY, bytes, start, limit);
    const hasQuery = pathEnd < limit && bytes[pathEnd] === octet.QUESTION_MARK;
    const end = hasQuery ? octet.skip(octet.TARGET, bytes, pathEnd + 1, limit) : pathEnd;
    if (end === limit) return MORE;
    if (bytes[end] !== octet.SP) return REFUSE.target;
    if (first === octet.ASTERISK && end !== start + 1) return REFUSE.target;

    this.absolute = absolute;
    this.pathStart = absolute ? this.readAuthority(bytes, start, pathEnd) : start;
    this.pathEnd = pathEnd;
    this.queryStart = hasQuery ? pathEnd + 1 : end;
    this.queryEnd = end;
    return this.pathStart < 0 ? REFUSE.target : end + 1;
  }

  /** The offset behind scheme and authority of an absolute target that has no query; -1 when they are not valid. */
  private readAuthority(bytes: Buffer, start: number, end: number): number {
    const scheme = schemeOf(bytes, start, end);
    if (scheme === undefined) return -1;
    this.defaultPort = scheme.defaultPort;
    const authorityStart = start + scheme.prefix.length;
    let at = authorityStart;
    while (at < end && bytes[at] !== octet.SLASH) at++;
    return this.authority.read(bytes, authorityStart, at) ? at : -1;
  }

  private stepVersion(bytes: Buffer, start: number, limit: number): number {
    for (let i = 0; i < VERSION_FORM.length; i++) {
      if (start + i >= limit) return MORE;
      const expected = VERSION_FORM.charCodeAt(i);
      const fits =
        expected === octet.ZERO ? octet.isOf(octet.DIGIT, bytes, start + i) : bytes[start + i] === expected;
      if (!fits) return REFUSE.version;
    }
    this.major = (bytes[start + 5] as number) - octet.ZERO;
    this.minor = (bytes[start + 7] as number) - octet.ZERO;
    return start + VERSION_FORM.length;
  }

  /**
   * What depends on more than one part. The version is judged first: the preface of HTTP/2, `PRI * HTTP/2.0`,
   * deserves to hear about its version and not about its target.
   */
  private judge(bytes: Buffer, next: number): number {
    if (this.major !== 1 || this.minor > 1) return REFUSE.unsupported_version;
    this.minorVersion = this.minor === 0 ? 0 : 1;
    const asterisk = bytes[this.pathStart] === octet.ASTERISK && !this.absolute;
    if (asterisk && !octet.equals(bytes, this.methodStart, this.methodEnd, 'OPTIONS')) return REFUSE.target;
    return next;
  }
}

function schemeOf(bytes: Buffer, start: number, end: number): typeof HTTP | typeof HTTPS | undefined {
  for (const scheme of [HTTP, HTTPS]) {
    const prefixEnd = Math.min(start + scheme.prefix.length, end);
    if (octet.equalsIgnoreCase(bytes, start, prefixEnd, scheme.prefix)) return scheme;
  }
  return undefined;
}
