import type { Http1Peek } from './http1';

export const LINE_END = '\r\n';

/** What a copy of a head has other than its original. */
export interface Difference {
  /** Names of the fields, in lower case, whose lines are not copied. */
  readonly without: readonly string[];
  /** Lines that come after all others, each with its end. */
  readonly added: string;
  /** In place of the path. */
  readonly path?: string | undefined;
}

/**
 * Writes a copy of the head that `head` has read from `bytes` to the beginning of `into`, which must have room for it;
 * returns its length. It goes through the field lines once, and what is not touched stays as it is, octet by octet.
 */
export function copyHead(
  head: Http1Peek,
  bytes: Buffer,
  into: Buffer,
  { without, added, path }: Difference,
): number {
  let length = 0;
  let copied = 0;
  if (path !== undefined) {
    length = bytes.copy(into, 0, 0, head.pathStart);
    length += into.write(path, length, 'latin1');
    copied = head.pathEnd;
  }
  for (let i = 0; i < head.fieldCount; i++) {
    if (!without.some((name) => head.isNamed(i, name))) continue;
    length += bytes.copy(into, length, copied, head.lineStart(i));
    copied = head.lineStart(i + 1);
  }
  length += bytes.copy(into, length, copied, head.lineStart(head.fieldCount));
  return length + into.write(added + LINE_END, length, 'latin1');
}
