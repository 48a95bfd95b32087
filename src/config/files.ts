import { statSync } from 'node:fs';

/** Whether a path leads to a regular file, for checks that name it before a program needs it. */
export function isFile(file: string): boolean {
  try {
    return statSync(file).isFile();
  } catch {
    // Whatever the reason (absent, no permission, a name that no file can have), it cannot be loaded.
    return false;
  }
}
