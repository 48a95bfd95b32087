import { Http1Peek, type PeekOutcome } from '../../src/peek/http1';

export const HEAD_BYTES = 16384;

/** What a read() says, without what only a complete head says. */
export interface Verdict {
  readonly outcome: PeekOutcome;
  readonly reason?: string;
  readonly status?: number;
  readonly headLength?: number;
}

/** What lies behind the bytes that were received: an end of the head, and octets that no head may contain. */
const BEHIND = [Buffer.from('\r\n\r\n'), Buffer.from('\0')];

/**
 * Reads every prefix of `head`, with other bytes behind it each time, and checks that the outcome is 'more' until
 * it is decided and then stays the same. Returns the verdict and how many bytes it took.
 */
export function readAtEverySplit(
  head: string,
  headBytes = HEAD_BYTES,
): { verdict: Verdict; decidedAt: number } {
  const peek = new Http1Peek(headBytes);
  let verdict: Verdict = { outcome: 'more' };
  let decidedAt = -1;
  for (let length = 0; length <= head.length; length++) {
    for (const filling of BEHIND) {
      const bytes = Buffer.alloc(head.length + 8, filling);
      bytes.write(head.slice(0, length), 'latin1');
      const now = readOnce(peek, bytes, length);
      if (decidedAt < 0 && now.outcome !== 'more') {
        verdict = now;
        decidedAt = length;
      }
      expect({ length, ...now }).toEqual({ length, ...verdict });
    }
  }
  return { verdict, decidedAt };
}

/** Reads once and checks that the bytes were not written to. */
export function readOnce(peek: Http1Peek, bytes: Buffer, length: number): Verdict {
  const before = Buffer.from(bytes);
  const outcome = peek.read(bytes, length);
  if (!before.equals(bytes)) throw new Error('read() changed the bytes');
  if (outcome === 'head') return { outcome, headLength: peek.headLength };
  if (outcome === 'malformed') return { outcome, reason: peek.reason, status: peek.status };
  return { outcome };
}

/** What a complete head says, as a plain object: matchers of the test runner do not see getters. */
export function partsOf(peek: Http1Peek): Record<string, string | number | boolean> {
  const { method, host, path, query, minorVersion, contentLength, chunked, upgrade } = peek;
  return { method, host, path, query, minorVersion, contentLength, chunked, upgrade };
}
