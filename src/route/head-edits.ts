import type { HeadChanges, RoutableHead } from '../peek/head';
import { stripPrefix } from './strip-prefix';

/** What a route changes of the heads that it leads to a pool. Plain data: it travels with the configuration. */
export interface HeadEdits {
  /** Fields with their values, each in place of all that has its name. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Names of fields that go, in lower case. */
  readonly remove: readonly string[];
  /** A normalised path without a slash at its end: so much of the path goes. */
  readonly strip_prefix?: string;
  /** Name of the field that holds the request's id. */
  readonly request_id?: string;
}

/** Ids that others have made: UUIDs, ULIDs, trace ids, numbers; nothing that a log or a shell could stumble over. */
const ID = /^[A-Za-z0-9._:=+/@-]{1,128}$/;
/** The longest one. */
const LONGEST_ID = 'x'.repeat(128);

/** The most octets that edits may add to a head. */
export function addedBytes({ set, request_id }: HeadEdits): number {
  const id = request_id === undefined ? 0 : lineBytes(request_id, LONGEST_ID);
  return set.reduce((sum, [name, value]) => sum + lineBytes(name, value), id);
}

function lineBytes(name: string, value: string): number {
  return `${name}: ${value}\r\n`.length;
}

/** What the edits make of a head. An id that the client has sent stays if it is one; `newId` makes another. */
export function changesTo(head: RoutableHead, edits: HeadEdits, newId: () => string): HeadChanges {
  const { set, remove, strip_prefix, request_id } = edits;
  const path = strip_prefix === undefined ? undefined : stripPrefix(head.path, strip_prefix);
  const all = request_id === undefined ? set : [...set, [request_id, idOf(head, request_id, newId)] as const];
  const without = [...remove, ...all.map(([name]) => name.toLowerCase())];
  return path === undefined ? { set: all, without } : { path, set: all, without };
}

function idOf(head: RoutableHead, name: string, newId: () => string): string {
  const sent = head.header(name.toLowerCase());
  return sent !== undefined && ID.test(sent) ? sent : newId();
}
