import { normalisePath } from './path';

/** Whether a path is the prefix, or goes on behind it with a slash. Both are normalised, and the prefix ends with none. */
export function isBelow(path: string, prefix: string): boolean {
  return path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === '/');
}

/**
 * A path without its prefix of whole segments; undefined where it has none. What is cut is the path that routes are
 * compared with: a client may write `/api/users` as `/%61pi/x/../users`, and gets the same `/users`.
 *
 * The rest has one slash at its beginning. Of `/api//evil.example` the path `//evil.example` would be left, and an
 * application that redirects to its own path would send its client there.
 */
export function stripPrefix(path: string, prefix: string): string | undefined {
  const normal = normalisePath(path);
  if (!isBelow(normal, prefix)) return undefined;
  return normal.slice(prefix.length).replace(/^\/*/, '/');
}
