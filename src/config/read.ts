import { closeSync, openSync, readSync } from 'node:fs';
import { failed } from './problems';
import type { Loaded } from './problems';

/** As many routes as there may be, of 128 bytes each (the usual ones have 60 to 100); more is a wrong file, or /dev/zero. */
const MAX_FILE_BYTES = 2 * 1024 * 1024;

/** The text of a configuration file; a problem at its start when it cannot be read, is too long or is not UTF-8. */
export function readText(file: string): Loaded<string> {
  try {
    return { ok: true, config: new TextDecoder('utf-8', { fatal: true }).decode(readBytes(file)) };
  } catch (error) {
    // Node's messages are "CODE: explanation, syscall 'path'"; the path is in front of the problem already.
    const [cause] = (error as Error).message.split(',');
    return failed([{ line: 1, column: 1, message: `cannot read: ${cause ?? ''}` }]);
  }
}

/** Reads until the end or the limit, so that pipes work and endless devices do no harm. */
function readBytes(file: string): Uint8Array {
  const fd = openSync(file, 'r');
  try {
    const bytes = new Uint8Array(MAX_FILE_BYTES + 1);
    let length = 0;
    for (;;) {
      const count = readSync(fd, bytes, length, bytes.length - length, null);
      if (count === 0) return bytes.subarray(0, length);
      length += count;
      if (length > MAX_FILE_BYTES) throw new Error('the file is larger than 2 MiB');
    }
  } finally {
    closeSync(fd);
  }
}
