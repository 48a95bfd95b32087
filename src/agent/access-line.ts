/**
 * One line of the access log: JSON in ASCII, so whatever a client sends moves no cursor and needs no decoding. An octet
 * beyond ASCII stands as it came, as one escape: `\u00c3\u00a9` is an é in UTF-8.
 */
export interface AccessLine {
  /** ISO 8601, when the answer ended. */
  readonly time: string;
  /** Address and port. */
  readonly client: string;
  readonly vip: string;
  readonly method: string;
  /** As it was asked for, without the query. */
  readonly path: string;
  /** Behind the "?"; absent where there is none. */
  readonly query?: string | undefined;
  readonly host?: string | undefined;
  /** 0 where none was sent. */
  readonly status: number;
  /** Octets written to the connection for this answer: head, framing and body. What a client that went away has not read counts. */
  readonly bytes: number;
  /** From the request's head to the last octet of its answer. */
  readonly duration_ms: number;
  /** Of the connection's first request, as its front has routed it; absent where that front does not tell. */
  readonly route?: string | undefined;
  readonly pool?: string | undefined;
  readonly backend: string;
  readonly front: string;
  /** From the complete head to the commit, as the front measures it; first requests alone. */
  readonly handoff_us?: number | undefined;
  /** Whether the request is the first of its connection. */
  readonly first: boolean;
  /** Whether the connection ended before all of the answer was written. */
  readonly aborted: boolean;
  readonly user_agent?: string | undefined;
  readonly referer?: string | undefined;
}

/** Octets of each text that a client chooses; longer ones end in "...". Methods are Node's, so they are short. */
export const MOST_OCTETS = { path: 1024, query: 1024, host: 255, user_agent: 256, referer: 512 };

/** The line's fields in their order, with a line end. */
export function formatAccess(line: AccessLine): string {
  return `${toAscii(JSON.stringify({ kind: 'access', ...line }))}\n`;
}

/** The line that stands where others are missing. */
export function formatDropped(backend: string, lines: number, cause: string): string {
  const time = new Date().toISOString();
  return `${toAscii(JSON.stringify({ kind: 'access_dropped', time, backend, lines, cause }))}\n`;
}

/** The time in ISO 8601; lines of the same millisecond share one. */
export class Clock {
  #at = NaN;
  #text = '';

  now(): string {
    const at = Date.now();
    if (at !== this.#at) {
      this.#at = at;
      this.#text = new Date(at).toISOString();
    }
    return this.#text;
  }
}

/** At most `most` octets of a text that has one code unit for each. */
export function bounded(text: string, most: number): string;
export function bounded(text: string | undefined, most: number): string | undefined;
export function bounded(text: string | undefined, most: number): string | undefined {
  if (text === undefined) return undefined;
  return text.length > most ? `${text.slice(0, most)}...` : text;
}

/** JSON escapes control characters below the blank, and leaves DEL and all beyond ASCII. */
function toAscii(json: string): string {
  return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
