import { statSync, type Stats } from 'node:fs';

/** Whether a path leads to a directory. */
export function isDirectory(path: string): boolean {
  return statOf(path)?.isDirectory() ?? false;
}

/** Whether a path leads to a regular file, for checks that name it before a program needs it. */
export function isFile(file: string): boolean {
  return statOf(file)?.isFile() ?? false;
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    // Whatever the reason (absent, no permission, a name that no file can have), it is of no use.
    return undefined;
  }
}
