import { normalisePath } from './path';

/** Whether a path is the prefix, or goes on behind it with a slash. Both are normalised, and the prefix ends with none. */
export function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/**
 * A path without its prefix of whole segments; undefined where it has none. What is cut is the path that routes are
 * compared with: a client may write `/api/users` as `/%61pi/x/../users`, and gets the same `/users`.
 *
 * A path with an empty segment behind the prefix stays whole. Of `/api//admin` the path `//admin` would be left, which names a
 * host to who reads it as a reference, and with one slash less it would be a path that other routes may guard as `/api/admin`.
 */
export function stripPrefix(path: string, prefix: string): string | undefined {
  const normal = normalisePath(path);
  if (!isBelow(normal, prefix)) return undefined;
  const rest = normal.slice(prefix.length);
  return rest.startsWith('//') ? undefined : rest || '/';
}
