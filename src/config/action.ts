import type { HeadEdits } from '../route/head-edits';
import { normalisePath } from '../route/path';
import type { RouteConfig } from './model';
import type { FrontInput } from './schema';

/** A route's input without its name and match. */
export type ActionInput = Omit<FrontInput['routes'][number], 'name' | 'match'>;

/** An action that passed every check, with its edits. */
export function normaliseAction(input: ActionInput): RouteConfig {
  const { pool, split, respond, redirect, deny } = input;
  if (respond) return { respond: { headers: {}, body: '', ...respond } };
  if (redirect) return { redirect };
  if (deny) return { deny };
  const edits = editsOf(input);
  return {
    ...(pool !== undefined && { pool }),
    ...(split && { split: { ...split, pools: sharesOf(split.pools) } }),
    ...(edits && { edits }),
  };
}

function sharesOf(pools: Readonly<Record<string, number>>): { name: string; weight: number }[] {
  return Object.entries(pools).map(([name, weight]) => ({ name, weight }));
}

/** Undefined where nothing is edited. */
export function editsOf(input: ActionInput): HeadEdits | undefined {
  const { set_headers = {}, remove_headers = [], strip_prefix, request_id } = input;
  const set = Object.entries(set_headers);
  const nothing = strip_prefix === undefined && request_id === undefined;
  if (set.length + remove_headers.length === 0 && nothing) return undefined;
  return {
    set,
    remove: remove_headers.map((name) => name.toLowerCase()),
    ...(strip_prefix !== undefined && { strip_prefix: normalisePath(strip_prefix) }),
    ...(request_id !== undefined && { request_id }),
  };
}
