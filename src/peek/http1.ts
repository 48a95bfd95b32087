import { Authority } from './authority';
import { Framing } from './framing';
import { separatorOf, type RoutableHead } from './head';
import { HTTP1_REFUSALS, MORE, REFUSE, reasonOf, statusOf, stepLineEnd } from './http1-step';
import * as octet from './octets';
import { RequestLine } from './request-line';

export { HTTP1_REFUSALS };

export type PeekOutcome = 'head' | 'more' | 'malformed';

/** Browsers send about 20, proxies in front of them a few more; nginx and Apache draw the line here too. */
export const MAX_FIELDS = 100;
/** Offsets kept of each field line: name start, name end, value start, value end. */
const FIELD_OFFSETS = 4;
const CRLF_BYTES = 2;

const NO_BYTES = Buffer.alloc(0);

/**
 * A strict reader of HTTP/1 request heads (RFC 9112).
 *
 * It goes through the bytes once, from left to right, and every octet is judged by those before it alone. So the
 * outcome cannot depend on how the bytes arrived: it is 'more' for every prefix up to the octet that decides, and
 * then the same for every longer one.
 *
 * Reusable: each read() overwrites the results of the last. The results hold after 'head' only. Strings are made
 * when they are first asked for, from the bytes given to read(): ask before that buffer changes.
 */
export class Http1Peek implements RoutableHead {
  /** Bytes up to and including the empty line, after 'head'. */
  headLength = 0;
  /** The status to answer with, after 'malformed'. */
  status: 400 | 431 | 505 = 400;
  /** Why, after 'malformed': one of HTTP1_REFUSALS. */
  reason = '';
  /** The head asks for another protocol (RFC 9110 section 7.8). */
  upgrade = false;

  private bytes: Buffer = NO_BYTES;
  private readonly line = new RequestLine();
  private readonly hostField = new Authority();
  private hostSeen = false;
  private readonly framing = new Framing();
  private readonly fields: Int32Array;
  /** Field lines of the head. */
  fieldCount = 0;
  private methodText: string | undefined;
  private hostText: string | undefined;
  private pathText: string | undefined;
  private queryText: string | undefined;

  /** `headBytes` and `maxFields`: the longest head that is accepted, and the most field lines. */
  constructor(
    private readonly headBytes: number,
    private readonly maxFields = MAX_FIELDS,
  ) {
    this.fields = new Int32Array(maxFields * FIELD_OFFSETS);
  }

  /** Looks at bytes [0, length) and never behind the head. */
  read(bytes: Buffer, length: number): PeekOutcome {
    this.reset(bytes);
    const code = this.stepHead(bytes, Math.min(length, bytes.length, this.headBytes));
    if (code >= 0) {
      this.headLength = code;
      return 'head';
    }
    // A head that is not complete after headBytes will be longer, so there is nothing to wait for.
    if (code === MORE && length < this.headBytes) return 'more';
    const reason = reasonOf(code === MORE ? REFUSE.head_too_large : code);
    this.reason = reason;
    this.status = statusOf(reason);
    return 'malformed';
  }

  get minorVersion(): 0 | 1 {
    return this.line.minorVersion;
  }

  /** Octets of the body; -1 when the head does not say. */
  get contentLength(): number {
    return this.framing.contentLength;
  }

  get chunked(): boolean {
    return this.framing.chunked;
  }

  get method(): string {
    return (this.methodText ??= this.text(this.line.methodStart, this.line.methodEnd));
  }

  get host(): string {
    const { start, end } = this.line.absolute ? this.line.authority : this.hostField;
    return (this.hostText ??= this.text(start, end).toLowerCase());
  }

  get path(): string {
    // An empty path of an absolute target is the same as '/' (RFC 9110 section 4.2.3).
    return (this.pathText ??= this.text(this.line.pathStart, this.line.pathEnd) || '/');
  }

  get query(): string {
    return (this.queryText ??= this.text(this.line.queryStart, this.line.queryEnd));
  }

  /** Whether a body follows the head (RFC 9112 section 6.3). */
  get hasBody(): boolean {
    return this.chunked || this.contentLength > 0;
  }

  /** Where the path begins; an absolute target without one has it end there too. */
  get pathStart(): number {
    return this.line.pathStart;
  }

  get pathEnd(): number {
    return this.line.pathEnd;
  }

  /** The offset of a field line's first octet; for `index` === fieldCount that of the empty line. */
  lineStart(index: number): number {
    return index < this.fieldCount
      ? (this.fields[index * FIELD_OFFSETS] as number)
      : this.headLength - CRLF_BYTES;
  }

  /** Whether a field line has this name. */
  isNamed(index: number, lowerCaseName: string): boolean {
    const at = index * FIELD_OFFSETS;
    const end = this.fields[at + 1] as number;
    return octet.equalsIgnoreCase(this.bytes, this.fields[at] as number, end, lowerCaseName);
  }

  header(lowerCaseName: string): string | undefined {
    let value: string | undefined;
    for (let i = 0; i < this.fieldCount; i++) {
      if (!this.isNamed(i, lowerCaseName)) continue;
      const text = this.text(
        this.fields[i * FIELD_OFFSETS + 2] as number,
        this.fields[i * FIELD_OFFSETS + 3] as number,
      );
      value = value === undefined ? text : value + separatorOf(lowerCaseName) + text;
    }
    return value;
  }

  private reset(bytes: Buffer): void {
    this.bytes = bytes;
    this.fieldCount = 0;
    this.upgrade = false;
    this.hostSeen = false;
    this.hostField.start = this.hostField.end = 0;
    this.framing.reset();
    this.methodText = this.hostText = this.pathText = this.queryText = undefined;
  }

  private stepHead(bytes: Buffer, limit: number): number {
    if (limit === 0) return MORE;
    // A server should ignore at least one empty line before the request line (RFC 9112 section 2.2): one it is.
    let at = bytes[0] === octet.CR ? stepLineEnd(bytes, 0, limit, REFUSE.line_end) : 0;
    if (at >= 0) at = this.line.read(bytes, at, limit);
    while (at >= 0) {
      if (at === limit) return MORE;
      if (bytes[at] === octet.CR || bytes[at] === octet.LF) return this.stepEmptyLine(bytes, at, limit);
      at = this.stepField(bytes, at, limit);
    }
    return at;
  }

  private stepEmptyLine(bytes: Buffer, at: number, limit: number): number {
    const next = stepLineEnd(bytes, at, limit, REFUSE.line_end);
    return next >= 0 && !this.hostSeen && this.minorVersion === 1 ? REFUSE.host_missing : next;
  }

  /** The step over one field line (RFC 9112 section 5), its CRLF included. */
  private stepField(bytes: Buffer, start: number, limit: number): number {
    if (this.fieldCount === this.maxFields) return REFUSE.too_many_fields;
    if (octet.isOf(octet.WHITESPACE, bytes, start)) return REFUSE.obs_fold;
    const nameEnd = octet.skip(octet.TOKEN, bytes, start, limit);
    if (nameEnd === limit) return MORE;
    if (nameEnd === start || bytes[nameEnd] !== octet.COLON) return REFUSE.field_name;

    const valueStart = octet.skip(octet.WHITESPACE, bytes, nameEnd + 1, limit);
    let valueEnd = octet.skip(octet.FIELD_VALUE, bytes, valueStart, limit);
    const next = stepLineEnd(bytes, valueEnd, limit, REFUSE.field_value);
    if (next < 0) return next;
    while (valueEnd > valueStart && octet.isOf(octet.WHITESPACE, bytes, valueEnd - 1)) valueEnd--;

    const i = this.fieldCount++ * FIELD_OFFSETS;
    this.fields[i] = start;
    this.fields[i + 1] = nameEnd;
    this.fields[i + 2] = valueStart;
    this.fields[i + 3] = valueEnd;
    const verdict = this.noteField(bytes, start, nameEnd, valueStart, valueEnd);
    return verdict < 0 ? verdict : next;
  }

  /** Looks at the fields that decide about the message; returns 0 or the code of a refusal. */
  private noteField(bytes: Buffer, name: number, nameEnd: number, value: number, valueEnd: number): number {
    // The length tells nearly every other field apart without looking at its name.
    switch (nameEnd - name) {
      case 4:
        return octet.equalsIgnoreCase(bytes, name, nameEnd, 'host')
          ? this.noteHost(bytes, value, valueEnd)
          : 0;
      case 7:
        if (octet.equalsIgnoreCase(bytes, name, nameEnd, 'upgrade')) this.upgrade = true;
        return 0;
      case 14:
        return octet.equalsIgnoreCase(bytes, name, nameEnd, 'content-length')
          ? this.framing.noteContentLength(bytes, value, valueEnd)
          : 0;
      case 17:
        return octet.equalsIgnoreCase(bytes, name, nameEnd, 'transfer-encoding')
          ? this.framing.noteTransferEncoding(bytes, value, valueEnd, this.minorVersion)
          : 0;
      default:
        return 0;
    }
  }

  private noteHost(bytes: Buffer, start: number, end: number): number {
    if (this.hostSeen) return REFUSE.host_duplicate;
    this.hostSeen = true;
    const { absolute, authority, defaultPort } = this.line;
    // An empty value says that the target has no authority (RFC 9112 section 3.2).
    if (start === end) return absolute ? REFUSE.host_mismatch : 0;
    if (!this.hostField.read(bytes, start, end)) return REFUSE.host_invalid;
    // RFC 9112 section 3.2.2 would have the target win. A backend that looks at Host instead would serve
    // another site than the one routed to, so the two must agree.
    return absolute && !this.hostField.matches(bytes, authority, defaultPort) ? REFUSE.host_mismatch : 0;
  }

  private text(start: number, end: number): string {
    return start === end ? '' : this.bytes.toString('latin1', start, end);
  }
}
