import type { StatusRange } from './model';

const RANGE = /^([2-5]\d\d)(?:-([2-5]\d\d))?$/;

/** `204` or `200-399`, both ends included -> range; undefined for anything that no final response can have. */
export function parseStatuses(text: string): StatusRange | undefined {
  const match = RANGE.exec(text);
  if (!match) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last ? { first, last } : undefined;
}
